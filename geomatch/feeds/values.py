"""JSON values as the numbers, texts and times they should be. Each raises BadInput with the key, never the value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from geomatch.errors import BadInput
from geomatch.feeds.parsed import Report, lines_of, malformed, refused
from geomatch.fleet.files import parse_json
from geomatch.quantities import checked_time, parse_time


def document(raw: bytes) -> Any:
    try:
        return parse_json(raw)
    except BadInput as fault:
        raise malformed(str(fault)) from None


def _is_document(raw: bytes) -> bool:
    """Does a JSON document end with this line? Then the next line is another one."""
    try:
        parse_json(raw)
    except BadInput:
        return False
    return True


def by_document(raw: bytes, read: Callable[[Any, str], Iterator[Report]]) -> Iterator[Report]:
    """`read(told, prefix)` of one document, or of each line that is one: then a faulty line is refused by itself."""
    lines = list(lines_of(raw))
    if len(lines) < 2 or not _is_document(lines[0][1]):
        yield from read(document(raw), "")
        return
    for where, line in lines:
        try:
            yield from read(document(line), f"{where} ")
        except BadInput as fault:
            yield where, refused(fault)


def number(value: Any, name: str) -> float:
    # Bounded, since a JSON number may have any number of digits.
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < 1e300:
        raise malformed(f"{name} must be a number")
    return float(value)


def optional_number(value: Any, name: str) -> float | None:
    return None if value is None else number(value, name)


def text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise malformed(f"{name} must be text")
    return value


def time(value: Any, name: str) -> float:
    try:
        moment = parse_time(text(value, name))
        checked_time(moment, name)
    except BadInput as fault:
        raise malformed(f"{name}: {fault}") from None
    return moment
