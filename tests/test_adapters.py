"""Readers of our types are made once each, also where several threads ask for their first at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from geomatch.aid.agreements import Agreement
from geomatch.model import Ranking, Stop, UnitState
from geomatch.model.adapters import _made, adapter_of
from geomatch.model.closures import Closure

KINDS = (Ranking, Stop, UnitState, Closure, Agreement, list[Agreement])


def test_threads_that_ask_at_once_get_one_reader_a_type():
    _made.cache_clear()
    start = Barrier(2 * len(KINDS))

    def ask(kind):
        start.wait()
        return adapter_of(kind)

    with ThreadPoolExecutor(2 * len(KINDS)) as pool:
        one, other = list(pool.map(ask, KINDS * 2))[: len(KINDS)], [adapter_of(kind) for kind in KINDS]
    assert all(first is again for first, again in zip(one, other, strict=True))
    assert _made.cache_info().misses == len(KINDS)
