"""Every operation of the API and what it takes to ask for it: one table, whichever file its route is in.

With keys, what is not in the table is not there: a new route is reachable once somebody has said who may use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from starlette.routing import compile_path

from geomatch.service.scopes import Scope

SOCKET = "WEBSOCKET"
"""Stands for a method where there is none."""


@dataclass(frozen=True, slots=True)
class Operation:
    method: str
    path: str
    """As its route has it."""
    scopes: frozenset[Scope]
    """All of them are needed; none: open to whoever reaches it."""
    once: bool = False
    """An Idempotency-Key makes a repetition harmless."""
    can_wait: bool = False
    """Refused first where more is asked than can be answered."""

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


def _op(name: str, *scopes: Scope, once: bool = False, can_wait: bool = False) -> Operation:
    method, path = name.split()
    return Operation(method, path, frozenset(scopes), once, can_wait)


# As routes are: of two that match, the first counts.
OPERATIONS: tuple[Operation, ...] = (
    _op("GET /healthz"),
    _op("GET /readyz"),
    _op("GET /openapi.json"),
    _op("GET /metrics", Scope.metrics_read),
    _op("POST /v1/rankings", Scope.rankings_read),
    _op("POST /v1/explanations", Scope.rankings_read, can_wait=True),
    _op("POST /v1/comparisons", Scope.rankings_read, can_wait=True),
    _op("GET /v1/units", Scope.rankings_read, can_wait=True),
    _op("PUT /v1/units/{unit_id:path}/status", Scope.status_write),
    _op("GET /v1/units/{unit_id:path}", Scope.rankings_read),
    _op("PUT /v1/units/{unit_id:path}", Scope.status_write),
    _op("DELETE /v1/units/{unit_id:path}", Scope.status_write),
    _op("PUT /v1/fleet", Scope.status_write, Scope.fixes_write),
    _op("PATCH /v1/fleet", Scope.status_write, Scope.fixes_write),
    _op("POST /v1/fixes", Scope.fixes_write),
    _op("POST /v1/fixes:raw", Scope.fixes_write),
    _op("POST /v1/fixes:stream", Scope.fixes_write),
    _op(f"{SOCKET} /v1/fixes/ws", Scope.fixes_write),
    _op("GET /v1/feeds", Scope.audit_read, can_wait=True),
    _op("GET /v1/emergencies", Scope.rankings_read),
    _op("POST /v1/emergencies", Scope.stops_write),
    _op("GET /v1/emergencies/{emergency_id:path}", Scope.rankings_read),
    _op("PATCH /v1/emergencies/{emergency_id:path}", Scope.stops_write),
    _op("GET /v1/stops", Scope.rankings_read),
    _op("POST /v1/stops", Scope.stops_write, once=True),
    _op("GET /v1/events", Scope.rankings_read),
    _op("GET /v1/stops/{stop_id:path}/events", Scope.rankings_read),
    _op("GET /v1/stops/{stop_id:path}", Scope.rankings_read),
    _op("PATCH /v1/stops/{stop_id:path}", Scope.stops_write),
    _op("DELETE /v1/stops/{stop_id:path}", Scope.stops_write),
    _op("POST /v1/assignments", Scope.stops_write, once=True),
    _op("GET /v1/assignments/{assignment_id}", Scope.rankings_read),
    _op("PATCH /v1/assignments/{assignment_id}", Scope.stops_write),
    _op("GET /v1/overrides", Scope.audit_read, can_wait=True),
    _op("GET /v1/approvals", Scope.rankings_read),
    _op("POST /v1/approvals", Scope.stops_write),
    _op("POST /v1/approvals/answers", Scope.agreements_admin),
    _op("GET /v1"),
    _op("GET /v1/conformance"),
    _op("GET /v1/collections", Scope.rankings_read, can_wait=True),
    _op("GET /v1/collections/{collection_id}", Scope.rankings_read, can_wait=True),
    _op("GET /v1/collections/{collection_id}/items", Scope.rankings_read, can_wait=True),
    _op("GET /v1/collections/{collection_id}/items/{feature_id:path}", Scope.rankings_read, can_wait=True),
    _op("GET /v1/closures", Scope.rankings_read),
    _op("POST /v1/closures", Scope.maps_admin),
    _op("POST /v1/closures:import", Scope.maps_admin),
    _op("DELETE /v1/closures/{closure_id:path}", Scope.maps_admin),
)  # fmt: skip


class Operations:
    """Finds the operation that a request is. A path without parameters costs one look-up."""

    def __init__(self, operations: tuple[Operation, ...] = OPERATIONS) -> None:
        plain = {(one.method, one.path): one for one in operations if "{" not in one.path}
        self._plain: Mapping[tuple[str, str], Operation] = MappingProxyType(plain)
        self._patterns = [(compile_path(one.path)[0], one) for one in operations if "{" in one.path]
        self._paths = {one.path for one in operations}

    def find(self, method: str, path: str) -> Operation | None:
        method = "GET" if method == "HEAD" else method
        if found := self._plain.get((method, path)):
            return found
        if path in self._paths:
            return None
        for pattern, one in self._patterns:
            if one.method == method and pattern.match(path):
                return one
        return None

    def methods(self, path: str) -> list[str]:
        """Those that the path has; empty: it is none."""
        there = {one.method for one in self._plain.values() if one.path == path}
        there |= {one.method for pattern, one in self._patterns if path not in self._paths and pattern.match(path)}
        return sorted(there - {SOCKET})
