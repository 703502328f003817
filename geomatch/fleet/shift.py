"""A recorded shift in a file: one JSON object a line, in order of time, as `data/README.md` describes it.

Read line by line, so a long shift costs no memory until something keeps it.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from geomatch.errors import BadInput
from geomatch.fleet.files import parse_json
from geomatch.model import Fix, Status, Stop
from geomatch.model.adapters import adapter_of
from geomatch.quantities import UnixTime, parse_time

LONGEST_LINE = 1_000_000
"""Bytes; a file with a longer line is not a shift, whatever it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidStatus:
    """What a unit said it was doing."""

    unit: str
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class StopMade:
    time: UnixTime
    stop: Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class StopOver:
    time: UnixTime
    stop: str
    """Its id."""


Happening: TypeAlias = Fix | SaidStatus | StopMade | StopOver


def read_shift(path: Path | str) -> Iterator[Happening]:
    """What happened, in order of time; .gz is unpacked. Raises BadInput, which names the line, when it gets there."""
    file = Path(path)
    number = 0
    last = 0.0
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as lines:
            while line := lines.readline(LONGEST_LINE):
                number += 1
                last, happening = _next(line, last)
                if happening is not None:
                    yield happening
    except BadInput as fault:
        raise BadInput(f"{file.name}, line {number}: {fault}") from None
    except (OSError, EOFError) as fault:
        said = getattr(fault, "strerror", None) or "it is damaged or cut short"
        raise BadInput(f"{file.name} cannot be read after line {number}: {said}") from None


def _next(line: bytes, last: UnixTime) -> tuple[UnixTime, Happening | None]:
    time, happening = _happening(line)
    if time < last:
        raise BadInput("is earlier than the line before it; sort the file by time")
    return time, happening


def _happening(line: bytes) -> tuple[UnixTime, Happening | None]:
    if len(line) >= LONGEST_LINE:
        raise BadInput("is too long: a shift has one small JSON object a line")
    record = parse_json(line)
    kind = record.pop("type", None) if isinstance(record, dict) else None
    time = record.get("time") if isinstance(record, dict) else None
    if not isinstance(time, str):
        raise BadInput('must be an object with a "type" and a "time" in RFC 3339')
    match kind:
        case "shift":
            return parse_time(time), None
        case "fix":
            fix: Fix = _as(Fix, record)
            return fix.time, fix
        case "status":
            unit = record.pop("unit", None)
            if not isinstance(unit, str):
                raise BadInput("a status must name its unit")
            record["at"] = record.pop("time")
            status: Status = _as(Status, record)
            return status.at, SaidStatus(unit=unit, status=status)
        case "stop":
            made = StopMade(time=parse_time(time), stop=_as(Stop, record.get("stop")))
            return made.time, made
        case "clear":
            over = record.get("stop")
            if not isinstance(over, str):
                raise BadInput("a clear must name the id of its stop")
            return parse_time(time), StopOver(time=parse_time(time), stop=over)
    raise BadInput("its type must be shift, fix, status, stop or clear")


def _as(kind: type[Any], value: object) -> Any:
    from pydantic import ValidationError

    try:
        # As JSON, since only then are numbers numbers and times RFC 3339.
        return adapter_of(kind).validate_json(json.dumps(value), strict=True)
    except ValidationError as faults:
        first = faults.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise BadInput(f"{where}: {said}" if where else said) from None
