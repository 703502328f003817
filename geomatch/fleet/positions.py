"""The R-tree of live positions: boxes wide enough that most fixes never touch it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from geomatch.quantities import XY, Ints, Metres

if TYPE_CHECKING:
    from rtree.index import Index

    from geomatch.fleet.view import FleetView

Box: TypeAlias = tuple[Metres, Metres, Metres, Metres]
"""West, south, east, north."""

MARGIN_M = 100.0
"""How far a unit may move before its box does: at 15 m/s and a fix a second, about one fix in ten touches the tree."""
REPLACED_AT_MOST = 1 / 200
"""Of all boxes; beyond it the tree is loaded anew: 4 ms at 10,000 units, as much as 50 times delete and insert."""
NOTED_AT_MOST = 50_000
"""Unit ids noted while nobody asked; beyond it the tree is loaded anew when asked, and memory stays bounded."""
LEAF = 20
"""Entries of a node. At 10,000 units delete and insert take 70 us with 20 and 600 us with rtree's own 100."""


class LivePositions:
    """One R-tree for all views of a fleet; it follows them forward, never back.

    The writer only notes whose position is no longer what it was. The tree is loaded when first asked, and catches up
    with the asker's view when asked again, by what the view says of each noted unit: so nothing is left behind
    by a removal, and the writer never waits for the tree.
    """

    def __init__(self) -> None:
        self._asking = Lock()
        self._noted: deque[tuple[int, tuple[str, ...]]] = deque()
        self._ids_noted = self._ids_taken = 0
        """Since the beginning: the first is the writer's to raise, the second the asker's."""
        self._gap = -1
        """The last version whose moves were not noted: a tree older than it has to be loaded anew."""
        self._version = -1
        self._tree: Index | None = None
        self._box: dict[str, Box] = {}
        self._key: dict[str, int] = {}
        self._unit: dict[int, str] = {}
        self._next_key = 0

    def note(self, version: int, unit_ids: tuple[str, ...]) -> None:
        """From `version` on, these units are elsewhere, gone or new. Called by the one writer, before it shows it."""
        if self._tree is None or self._ids_noted - self._ids_taken + len(unit_ids) > NOTED_AT_MOST:
            self._gap = version
        else:
            self._ids_noted += len(unit_ids)
            self._noted.append((version, unit_ids))

    def slots_in_box(self, view: FleetView, box: Box) -> Ints | None:
        """All slots in the box and some nearby, in no order; None: busy, or already beyond this view."""
        if not self._asking.acquire(blocking=False):
            return None
        try:
            tree = self._caught_up(view)
            return None if tree is None else self._slots(view, tree.intersection(box))
        finally:
            self._asking.release()

    def slots_near(self, view: FleetView, at: XY, count: int) -> Ints | None:
        """The slots of the `count` nearest boxes and all as near as the last of them; None as in slots_in_box."""
        if not self._asking.acquire(blocking=False):
            return None
        try:
            tree = self._caught_up(view)
            return None if tree is None else self._slots(view, tree.nearest((at.x, at.y, at.x, at.y), count))
        finally:
            self._asking.release()

    def _slots(self, view: FleetView, keys: Iterable[int]) -> Ints:
        slots, unit = view.slots, self._unit
        return np.array([slots[unit[key]] for key in keys], np.int32)

    def _caught_up(self, view: FleetView) -> Index | None:
        """The tree as of `view`; None when that cannot be known, since the tree or the notes are beyond it."""
        if view.version < max(self._version, self._gap):
            return None
        if self._tree is None or self._version < self._gap:
            return self._load(view)
        touched = self._take_notes(view.version)
        moved = {unit: at for unit, at in _positions(view, touched) if not _inside(self._box.get(unit), at)}
        if len(moved) > 1 + REPLACED_AT_MOST * len(view.units):
            return self._load(view)
        for unit, at in moved.items():
            self._replace(self._tree, unit, at)
        self._version = view.version
        return self._tree

    def _take_notes(self, version: int) -> set[str]:
        touched: set[str] = set()
        while self._noted and self._noted[0][0] <= version:
            unit_ids = self._noted.popleft()[1]
            self._ids_taken += len(unit_ids)
            touched.update(unit_ids)
        return touched

    def _replace(self, tree: Index, unit: str, at: XY | None) -> None:
        old = self._box.pop(unit, None)
        if old is not None:
            key = self._key.pop(unit)
            del self._unit[key]
            tree.delete(key, old)
        if at is not None:
            key, self._next_key = self._next_key, self._next_key + 1
            self._key[unit], self._unit[key] = key, unit
            self._box[unit] = box = (at.x - MARGIN_M, at.y - MARGIN_M, at.x + MARGIN_M, at.y + MARGIN_M)
            tree.insert(key, box)

    def _load(self, view: FleetView) -> Index:
        from rtree.index import Index, Property

        properties = Property(leaf_capacity=LEAF, index_capacity=LEAF)
        known = np.flatnonzero(np.isfinite(view.x))
        low = np.column_stack((view.x[known], view.y[known])) - MARGIN_M
        high = low + 2.0 * MARGIN_M
        tree = Index((known, low, high), properties=properties) if len(known) else Index(properties=properties)
        keys, units = known.tolist(), [view.units[slot].id for slot in known]
        self._box = dict(zip(units, zip(*low.T.tolist(), *high.T.tolist(), strict=True), strict=True))
        self._key, self._unit = dict(zip(units, keys, strict=True)), dict(zip(keys, units, strict=True))
        self._next_key = len(view.units)
        self._tree, self._version = tree, view.version
        self._take_notes(view.version)
        return tree


def _positions(view: FleetView, unit_ids: Iterable[str]) -> Iterator[tuple[str, XY | None]]:
    """Where the view has each; None: nowhere."""
    for unit in unit_ids:
        slot = view.slots.get(unit)
        x = math.nan if slot is None else float(view.x[slot])
        yield unit, None if slot is None or math.isnan(x) else XY(x, float(view.y[slot]))


def _inside(box: Box | None, at: XY | None) -> bool:
    """Is there nothing to do: the box still holds the position, or there is neither?"""
    if box is None or at is None:
        return box is None and at is None
    return box[0] <= at.x <= box[2] and box[1] <= at.y <= box[3]
