"""The doors: who asks is known, and may, before any route sees the request.

One layer around the whole application, so that no route can be forgotten: with keys, what `operations` does not name
is not there. What a caller may see and change of that is `tenancy`'s.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from geomatch.errors import GeomatchError
from geomatch.journal.answers import Answers
from geomatch.quantities import UnixTime
from geomatch.service import keys, problems
from geomatch.service.callers import CALLER, NOBODY, OPERATOR, Caller
from geomatch.service.idempotency import Repeats
from geomatch.service.limiting import LOCKED_S, Limits, Lockout, Rates
from geomatch.service.metrics import Metrics
from geomatch.service.operations import SOCKET, Operation, Operations
from geomatch.service.pressure import RETRY_AFTER_S, Overloaded, Pressure
from geomatch.service.tokens import Denied, Fetch, Tokens

Headers = list[tuple[bytes, bytes]]
Clock = Callable[[], UnixTime]

TOKEN_NAME = "token"  # noqa: S105 - a word for the log, no secret
MOST_SEEN = 10_000
LOOK_AGAIN_S = 1.0
"""A key that is revoked in the file is of no use after this."""

_log = logging.getLogger("geomatch.access")

NO_CREDENTIALS = problems.Kind(401, "not_authenticated", "Say who asks")
LOCKED = problems.Kind(429, "locked", "Too many wrong credentials")
TOO_MANY = problems.Kind(429, "too_many_requests", "Too many requests")
FORBIDDEN = problems.Kind(403, "forbidden", "Not for this caller")
LONG_HEADERS = problems.Kind(431, "headers_too_large", "Headers are too large")
NO_PATH = problems.Kind(404, "no_such_path", "Not Found")
OVERLOADED = problems.KINDS[Overloaded]
NO_METHOD = problems.Kind(405, "method_not_allowed", "Method Not Allowed")


class Refused(Exception):
    def __init__(
        self, kind: problems.Kind, detail: str, code: str, headers: Mapping[str, str] | None = None, name: str = ""
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.code, self.headers, self.name = kind, detail, code, headers, name


class Ring:
    """The keys and issuers of a file, as it is now."""

    def __init__(self, path: Path, *, fetch: Fetch | None = None) -> None:
        """Raises BadInput, or OSError where there is no such file."""
        self._path, self._fetch = path, fetch
        self._looked_at = 0.0
        self._mark = self._seen()
        self._keys, self._tokens = self._read()

    @property
    def size(self) -> int:
        """Keys and issuers of the file, whether they are good now or not."""
        return len(self._keys) + self._tokens.size

    def caller(self, key_id: str, secret: str, now: UnixTime) -> Caller:
        """Whose key it is. Raises Denied."""
        self.look(now)
        key, owner = self._keys.get(key_id, (None, NOBODY))
        if not keys.is_secret_of(key, secret) or key is None:
            raise Denied("wrong_key", "the key is not good here", guessed=True)
        if why := key.refusal(now):
            raise Denied(f"{why}_key", f"the key is {why}: get another", guessed=False)
        return owner

    def tokens(self, now: UnixTime) -> Tokens:
        self.look(now)
        return self._tokens

    def look(self, now: UnixTime) -> None:
        """Reads the file again if it has changed, once a second at most: a stat is 2 us."""
        if abs(now - self._looked_at) < LOOK_AGAIN_S:
            return
        self._looked_at = now
        with suppress(OSError):  # away for a moment: those it had stay good
            if (seen := self._seen()) != self._mark:
                self._mark = seen
                try:
                    self._keys, self._tokens = self._read()
                except GeomatchError as fault:
                    # A slip of the pen must not lock everybody out. It is told, once for each change of the file.
                    _log.error("the key file was changed and cannot be used, the keys before it stay good: %s", fault)

    def _read(self) -> tuple[dict[str, tuple[keys.Key, Caller]], Tokens]:
        held = keys.read_keys(self._path)
        return {key.id: (key, key.caller) for key in held.keys}, Tokens(
            held.issuers, self._path.parent, fetch=self._fetch
        )

    def _seen(self) -> tuple[int, int]:
        stat = self._path.stat()
        return stat.st_mtime_ns, stat.st_ino


class Doors:
    """The ASGI layer. Without a ring everybody is the operator, and only limits and measures are left of it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        ring: Ring | None,
        clock: Clock,
        limits: Limits,
        metrics: Metrics,
        pressure: Pressure,
        answers: Answers | None = None,
    ) -> None:
        self._app, self._ring, self._clock, self._limits, self._metrics = app, ring, clock, limits, metrics
        self._pressure = pressure
        self._operations = Operations()
        self._rates = Rates(limits.requests_per_minute)
        self._lockout = Lockout()
        self._repeats = Repeats(clock, answers)
        self._seen: set[tuple[str, str]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["type"] == "http" else SOCKET
        operation = self._operations.find(method, scope["path"])
        timed = self._metrics.timed(operation.name if operation else "other", send)
        try:
            authorization = self._read_headers(scope["headers"])
            if self._ring is None:
                asking = OPERATOR
            else:
                asking = await self._admitted(self._ring, method, operation, scope, authorization)
            self._check_pressure(operation, asking)
        except Refused as no:
            await _refuse(no, scope, receive, timed)
            return
        token = CALLER.set(asking)
        try:
            if operation is not None and operation.can_wait:
                async with self._pressure.turn():
                    await self._app(scope, receive, timed)
            elif operation is not None and operation.once:
                await self._repeats.run(self._app, asking.id, scope, receive, timed)
            else:
                await self._app(scope, receive, timed)
        finally:
            CALLER.reset(token)

    def _check_pressure(self, operation: Operation | None, asking: Caller) -> None:
        """Raises Refused for what can wait."""
        if operation is not None and operation.can_wait and self._pressure.is_full:
            detail = "more is asked than can be answered, and this can wait: ask again in a second"
            raise Refused(OVERLOADED, detail, "overloaded", {"retry-after": str(RETRY_AFTER_S)}, asking.id)

    def _read_headers(self, headers: Headers) -> bytes | None:
        """The one Authorization header. Raises Refused."""
        found: bytes | None = None
        total = 0
        for name, value in headers:
            total += len(name) + len(value)
            if name == b"authorization":
                if found is not None:
                    raise Refused(NO_CREDENTIALS, "send one Authorization header", "two_credentials", _CHALLENGE)
                found = value
        if total > self._limits.max_header_bytes or len(headers) > self._limits.max_headers:
            raise Refused(LONG_HEADERS, "send fewer and shorter headers", "long_headers")
        return found

    async def _admitted(
        self, ring: Ring, method: str, operation: Operation | None, scope: Scope, authorization: bytes | None
    ) -> Caller:
        """Who asks, where they may. Raises Refused."""
        if operation is None:
            raise self._not_there(method, scope["path"])
        if not operation.scopes:
            return NOBODY
        now, address = self._clock(), (scope.get("client") or ("",))[0]
        asking = await self._known(ring, authorization, address, now)
        if lacking := operation.scopes - asking.scopes:
            scopes = " ".join(sorted(lacking))
            raise Refused(
                FORBIDDEN, f"this key lacks {scopes}: ask with one that has it", "lacks_scope",
                {"www-authenticate": f'Bearer error="insufficient_scope", scope="{scopes}"'}, asking.id,
            )  # fmt: skip
        if not self._rates.take(asking.id, now):
            limit = self._limits.requests_per_minute
            raise Refused(
                TOO_MANY, f"{limit:,} requests a minute are taken of one caller: wait, or send more in each",
                "too_many", {"retry-after": str(60 - int(now) % 60)}, asking.id,
            )  # fmt: skip
        if (asking.id, address) not in self._seen:
            self._seen = set() if len(self._seen) >= MOST_SEEN else self._seen
            self._seen.add((asking.id, address))
            _log.info("admitted", extra={"caller": asking.id, "address": address, "operation": operation.name})
        return asking

    async def _known(self, ring: Ring, authorization: bytes | None, address: str, now: UnixTime) -> Caller:
        credential = _bearer(authorization)
        key = keys.split(credential)
        # An id that is none is not worth a counter of its own: whoever tries ids out is counted once, by address.
        name = key[0] if key and keys.ID.fullmatch(key[0]) else TOKEN_NAME if key is None else "?"
        if self._lockout.is_locked(address, name):
            detail = "too many wrong credentials came from here: wait, and correct them"
            raise Refused(LOCKED, detail, "locked", {"retry-after": str(int(LOCKED_S))}, name)
        try:
            if key is not None:
                return ring.caller(key[0], key[1], now)
            tokens = ring.tokens(now)
            known = tokens.known(credential, now)
            return known if known is not None else await run_in_threadpool(tokens.check, credential, now)
        except Denied as no:
            if no.guessed:
                self._lockout.failed(address, name)
            raise Refused(NO_CREDENTIALS, str(no), no.code, _CHALLENGE, name) from None

    def _not_there(self, method: str, path: str) -> Refused:
        there = self._operations.methods(path)
        if there and method != SOCKET:
            detail = "see /openapi.json for what can be asked"
            return Refused(NO_METHOD, detail, "no_method", {"allow": ", ".join(there)})
        return Refused(NO_PATH, "see /openapi.json for what can be asked", "no_path")


_CHALLENGE = {"www-authenticate": 'Bearer realm="geomatch"'}


def _bearer(authorization: bytes | None) -> str:
    if authorization is None:
        raise Refused(
            NO_CREDENTIALS, "send a key, as Authorization: Bearer gm1...., or a signed token", "none", _CHALLENGE
        )
    scheme, _, credential = authorization.partition(b" ")
    if scheme.lower() != b"bearer" or not credential.isascii() or not credential.strip():
        raise Refused(NO_CREDENTIALS, "send it as Authorization: Bearer gm1....", "no_bearer", _CHALLENGE)
    return credential.strip().decode("ascii")


async def _refuse(no: Refused, scope: Scope, receive: Receive, send: Send) -> None:
    client = (scope.get("client") or ("",))[0]
    # What is refused for want of time is counted by its status: a line for each would take what time there is.
    _log.log(
        logging.DEBUG if no.kind is OVERLOADED else logging.WARNING,
        "refused",
        extra={"caller": no.name, "address": client, "outcome": no.code},
    )
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    response: Response = problems.answer(no.kind, no.detail, headers=no.headers)
    await response(scope, receive, send)
