"""Errors as RFC 9457 has them: one table from kind to status, and never an input value in an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from geomatch import errors
from geomatch.aid.vocabulary import UnclearWord
from geomatch.journal.faults import BadJournal, JournalDown
from geomatch.journal.log import PATIENCE_S
from geomatch.service.bodies import FieldError, Problem
from geomatch.service.callers import Forbidden
from geomatch.service.pressure import RETRY_AFTER_S, Overloaded

SHOWN_ERRORS = 100
LONGEST_LOCATION = 200


class BodyTooLarge(errors.BadInput):
    """A body beyond the limit that the operator set."""


class NotJson(errors.BadInput):
    """A body that does not call itself JSON."""


class WrongMediaType(errors.BadInput):
    """A body that does not say what it is."""


class BadQuery(errors.BadInput):
    """A query that the OGC's standard wants refused with 400."""


class NoSuchFeature(errors.GeomatchError, LookupError):
    """A collection or a feature that is not there, or not for this caller."""


class InvalidBody(errors.BadInput):
    """A body that is no JSON, or not of the shape asked for; `faults` are pydantic's, without input values."""

    def __init__(self, faults: Sequence[Mapping[str, Any]], count: int) -> None:
        self.errors = [_field_error(fault) for fault in faults[:SHOWN_ERRORS]]
        first = self.errors[0] if self.errors else FieldError(location="", message="it has too many faults to list")
        where = f"{first.location}: " if first.location else ""
        more = f" (and {count - 1} more)" if count > 1 else ""
        super().__init__(f"{where}{first.message}{more}; nothing of it was applied")


@dataclass(frozen=True)
class Kind:
    status: int
    code: str
    title: str


KINDS: Mapping[type[Exception], Kind] = MappingProxyType(
    {
        errors.OutsideMap: Kind(422, "outside_map", "Outside the loaded map"),
        errors.UnknownAgency: Kind(422, "unknown_agency", "Agency is on no loaded map"),
        errors.UnknownUnit: Kind(404, "unknown_unit", "No such unit"),
        errors.UnknownStop: Kind(404, "unknown_stop", "No such stop"),
        errors.UnknownAgreement: Kind(404, "unknown_agreement", "No such agreement"),
        errors.UnknownClosure: Kind(404, "unknown_closure", "No such closure"),
        errors.UnknownAssignment: Kind(404, "unknown_assignment", "No such assignment"),
        errors.LostRace: Kind(409, "lost_race", "Decided on what has changed since"),
        errors.MayNotGo: Kind(409, "may_not_go", "The unit may not go"),
        errors.IllegalStep: Kind(409, "illegal_step", "Not a step from here"),
        errors.ResyncRequired: Kind(409, "resync_required", "Send a whole snapshot"),
        errors.LimitReached: Kind(409, "limit_reached", "An agreement's limit is reached"),
        errors.BadMap: Kind(422, "bad_map", "Map cannot be used"),
        errors.BadRegion: Kind(503, "bad_region", "Region cannot be used"),
        JournalDown: Kind(503, "journal_down", "Nothing can be recorded now"),
        Overloaded: Kind(503, "overloaded", "More is asked than can be answered"),
        BadJournal: Kind(503, "bad_journal", "The journal cannot be used"),
        errors.BadInput: Kind(422, "bad_input", "Request is not valid"),
        UnclearWord: Kind(422, "unclear_word", "Which of these is meant?"),
        Forbidden: Kind(403, "forbidden", "Not for this caller"),
        BadQuery: Kind(400, "bad_query", "Query is not valid"),
        NoSuchFeature: Kind(404, "no_such_feature", "No such collection or feature"),
        InvalidBody: Kind(422, "bad_input", "Request is not valid"),
        BodyTooLarge: Kind(413, "too_large", "Request is too large"),
        NotJson: Kind(415, "not_json", "Request is not JSON"),
        WrongMediaType: Kind(415, "wrong_media_type", "Request does not say what it is"),
        ClientDisconnect: Kind(400, "disconnected", "Request ended early"),
    }
)
RETRY_AFTER: Mapping[type[Exception], Mapping[str, str]] = MappingProxyType(
    {JournalDown: {"retry-after": str(round(PATIENCE_S))}, Overloaded: {"retry-after": str(RETRY_AFTER_S)}}
)
"""What will be taken when it is sent again a little later, as it is."""
UNFORESEEN = Kind(500, "internal", "Fault in the service")


def kind_of(fault: Exception) -> Kind:
    """The table's row for the nearest class; a geomatch error that is not in it is a fault of the service."""
    return next((KINDS[kind] for kind in type(fault).__mro__ if kind in KINDS), UNFORESEEN)


def install(app: FastAPI) -> None:
    """Every error of `app` becomes a problem."""
    app.add_exception_handler(errors.GeomatchError, _on_known)
    app.add_exception_handler(ClientDisconnect, _on_known)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_unforeseen)


def of(fault: Exception) -> Response:
    """The answer to an error of the table."""
    kind = kind_of(fault)
    detail = str(fault) if kind is not UNFORESEEN else "the service failed; it is not the request's fault"
    parts = {"choices": to_json([str(one) for one in fault.choices])} if isinstance(fault, UnclearWord) else {}
    faults = fault.errors if isinstance(fault, InvalidBody) else None
    return answer(kind, detail, faults=faults, headers=RETRY_AFTER.get(type(fault)), parts=parts)


def _on_known(_request: Request, fault: Exception) -> Response:
    return of(fault)


def _on_invalid(_request: Request, fault: Exception) -> Response:
    """FastAPI's own: of a path or query, since bodies are read elsewhere."""
    assert isinstance(fault, RequestValidationError)  # noqa: S101 - for the type checker: registered for it alone
    listed = fault.errors()
    invalid = InvalidBody(listed, len(listed))
    return answer(KINDS[InvalidBody], str(invalid), faults=invalid.errors)


def _on_http(_request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)  # noqa: S101 - as above
    code = {404: "no_such_path", 405: "method_not_allowed"}.get(fault.status_code, f"http_{fault.status_code}")
    kind = Kind(fault.status_code, code, str(fault.detail))
    return answer(kind, f"{fault.detail}: see /openapi.json for what can be asked", headers=fault.headers)


def _on_unforeseen(_request: Request, _fault: Exception) -> Response:
    return answer(UNFORESEEN, "the service failed; it is not the request's fault, and its log says more")


def answer(
    kind: Kind,
    detail: str,
    *,
    faults: list[FieldError] | None = None,
    headers: Mapping[str, str] | None = None,
    parts: Mapping[str, bytes] = MappingProxyType({}),
) -> Response:
    """The problem as a response; `parts` are extension members, in JSON already."""
    body = Problem(
        type=f"urn:geomatch:problem:{kind.code}", title=kind.title, status=kind.status, detail=detail, errors=faults
    )
    told = {name: value for name, value in asdict(body).items() if value is not None}
    raw = to_json(told)
    for name, part in parts.items():
        raw = raw[:-1] + b"," + to_json(name) + b":" + part + b"}"
    return Response(raw, kind.status, headers, "application/problem+json")


def _field_error(fault: Mapping[str, Any]) -> FieldError:
    location = ""
    for part in fault["loc"]:
        location += f"[{part}]" if isinstance(part, int) else f".{part}"
    # Keys are the caller's own words: named, since they may be the fault, but not without end.
    location = location.removeprefix(".")[:LONGEST_LOCATION]
    message = _MESSAGES.get(fault["type"]) or str(fault["msg"]).removeprefix("Value error, ")
    return FieldError(location=location, message=message)


_MESSAGES = MappingProxyType(
    {
        "unexpected_keyword_argument": "unknown key: leave it out, or see /openapi.json for how it is spelled",
        "missing": "this key is missing",
        "missing_argument": "this key is missing",
        "missing_keyword_only_argument": "this key is missing",
        "finite_number": "must be a finite number",
        "dataclass_type": "must be an object",
        "tuple_type": "must be a list",
    }
)
