"""Closures as others write them: what a file of them says, item by item, and its way onto the roads.

A message is what its source has to say now: taking it in replaces what the source said before, in one step. An item
that cannot be read is told, and the others hold; a message that is not of its format is refused whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from geomatch.errors import BadInput
from geomatch.feeds.parsed import malformed
from geomatch.model.closures import Closure, ClosureOutcome, ClosureResult
from geomatch.quantities import DrivingMode, UnixTime

if TYPE_CHECKING:
    from geomatch.matcher import Matcher

ALL_MODES = tuple(DrivingMode)
LONGEST_REASON = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How a message is to be taken."""

    source: str
    """Whose it is, as its closures say."""
    modes: tuple[DrivingMode, ...] = ALL_MODES
    """Whom its closures hold for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One road event: a closure, or why it is none."""

    id: str
    closure: Closure | None = None
    outcome: ClosureOutcome = ClosureOutcome.left_out
    """Of one that is no closure: left_out or faulty."""
    detail: str = ""
    """Also of a closure that is taken otherwise than it was meant: a guess shows."""


Reader: TypeAlias = Callable[[Any, Told], Item]


def read_items(events: Iterable[tuple[str, Any]], read: Reader, told: Told) -> tuple[Item, ...]:
    """Each event by itself. An event without an id is told by where it stands."""
    return tuple(_once_each(_read(where, event, read, told) for where, event in events))


def left_out(id_: str, why: str) -> Item:
    return Item(id=id_, detail=why)


def take(matcher: Matcher, source: str, items: Sequence[Item], *, now: UnixTime | None = None) -> list[ClosureResult]:
    """Puts a message's closures in place of what its source said before, and says of each item what became of it."""
    closures = [item.closure for item in items if item.closure is not None]
    return results(items, matcher.close_roads(closures, now=now, source=source))


def results(items: Sequence[Item], of_closures: Iterable[ClosureResult]) -> list[ClosureResult]:
    """Of all items, in their order."""
    placed = iter(of_closures)
    return [_with_note(next(placed), item.detail) if item.closure is not None else _none(item) for item in items]


def _read(where: str, event: Any, read: Reader, told: Told) -> Item:
    try:
        return read(event, told)
    except BadInput as fault:
        return Item(id=where, outcome=ClosureOutcome.faulty, detail=f"{fault}")


def _once_each(items: Iterable[Item]) -> Iterator[Item]:
    seen: set[str] = set()
    for item in items:
        if item.closure is not None and item.id in seen:
            yield Item(id=item.id, outcome=ClosureOutcome.faulty, detail="an item before it has the same id")
            continue
        seen.add(item.id)
        yield item


def _none(item: Item) -> ClosureResult:
    return ClosureResult(id=item.id, outcome=item.outcome, detail=item.detail)


def _with_note(result: ClosureResult, note: str) -> ClosureResult:
    detail = "; ".join(filter(None, (result.detail, note)))
    return ClosureResult(id=result.id, outcome=result.outcome, edges=result.edges, detail=detail)


def identity(value: Any, told: Told) -> str:
    """An event's own id after its source's: two feeds may both have a number 7."""
    if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip():
        raise malformed("it has no id")
    return f"{told.source}:{str(value).strip()}"


def reason(value: Any) -> str:
    return "".join(filter(str.isprintable, value))[:LONGEST_REASON] if isinstance(value, str) else ""
