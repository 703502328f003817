"""Forbidden sequences of edges worked into the turns: long ones by copied edges that remember how they were reached.

The copies are the states of an Aho-Corasick automaton over the bans: a copy stands for the longest piece of what was
just driven that begins some ban. So bans that overlap, nest or share their via edges combine as they should.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from geomatch.maps.network.restrictions import Ban, Path
from geomatch.maps.network.turns import Turns
from geomatch.quantities import NEVER_MS, Ints


@dataclass(frozen=True)
class Remembering:
    """Turns among E original edges and the copies that follow them."""

    turns: Turns
    copy_of: Ints
    """(copies,) the original of each copy."""


def apply_bans(turns: Turns, bans: list[Ban], edges: int) -> Remembering:
    """`turns` without the banned ones; those banned in some modes only are NEVER_MS there. Few bans, plain Python."""
    ms = turns.ms.copy()
    key = turns.tail.astype(np.int64) * edges + turns.head
    for ban in bans:
        if len(ban.path) == 2:
            at = int(np.searchsorted(key, ban.path[0] * edges + ban.path[1]))
            if at < len(key) and key[at] == ban.path[0] * edges + ban.path[1]:
                ms[np.array(ban.modes), at] = NEVER_MS
    turns = Turns(tail=turns.tail, head=turns.head, ms=ms).where(np.any(ms < NEVER_MS, axis=0))
    long = [ban for ban in bans if len(ban.path) > 2]
    return _with_copies(turns, long, edges) if long else Remembering(turns, np.zeros(0, np.int32))


def _with_copies(turns: Turns, bans: list[Ban], edges: int) -> Remembering:
    banned: dict[Path, list[bool]] = defaultdict(lambda: [False] * len(turns.ms))
    for ban in bans:
        banned[ban.path] = [a or b for a, b in zip(banned[ban.path], ban.modes, strict=True)]
    begun: set[Path] = {path[:length] for path in banned for length in range(2, len(path))}
    first = np.searchsorted(turns.tail, np.arange(edges + 1))
    number: dict[Path, int] = {}
    heads = turns.head.copy()
    for path in sorted(begun):
        if len(path) > 2:
            continue
        here = slice(int(first[path[0]]), int(first[path[0] + 1]))
        at = np.flatnonzero(turns.head[here] == path[1])
        if len(at):
            number[path] = edges + len(number)
            heads[here.start + at[0]] = number[path]
    tail_of_copies: list[int] = []
    head_of_copies: list[int] = []
    ms_of_copies = [np.zeros((len(turns.ms), 0), np.int32)]
    queue = list(number)
    for path in queue:  # grows while it is walked
        for arc in range(int(first[path[-1]]), int(first[path[-1] + 1])):
            driven = (*path, int(turns.head[arc]))
            ms = turns.ms[:, arc].copy()
            for start in range(len(driven) - 2):
                ms[banned.get(driven[start:], [False] * len(ms))] = NEVER_MS
            if np.all(ms >= NEVER_MS):
                continue
            kept = next((driven[start:] for start in range(len(driven) - 1) if driven[start:] in begun), driven[-1:])
            if len(kept) > 1 and kept not in number:
                number[kept] = edges + len(number)
                queue.append(kept)
            tail_of_copies.append(number[path])
            head_of_copies.append(number.get(kept, kept[-1]))
            ms_of_copies.append(ms[:, None])
    all_turns = Turns(
        tail=np.concatenate([turns.tail, np.array(tail_of_copies, np.int32)]),
        head=np.concatenate([heads, np.array(head_of_copies, np.int32)]),
        ms=np.hstack([turns.ms, *ms_of_copies]),
    )
    return Remembering(all_turns, np.array([path[-1] for path in queue], np.int32))
