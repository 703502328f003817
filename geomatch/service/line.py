"""Answers that are made in the event loop, one in each of its rounds: whoever must not wait comes in between."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from weakref import WeakKeyDictionary

from geomatch.quantities import Seconds


class Line:
    """First come, first served. Without others it costs 2 us and nobody waits; with hundreds, the loop still looks for
    what comes in after each answer, and not after all of them."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        # One for each loop: an application in tests may have several.
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, deque[tuple[asyncio.Future[None], float]]] = (
            WeakKeyDictionary()
        )

    async def turn(self) -> None:
        """Returns when it is one's turn, which lasts until one waits for something else."""
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            self._lines[loop] = deque()
            loop.call_soon(self._next, loop)
            return
        mine = loop.create_future()
        line.append((mine, self._clock()))
        await mine

    @property
    def head_waits_s(self) -> Seconds:
        """Since the first in line came; 0: nobody waits."""
        return max((self._clock() - line[0][1] for line in list(self._lines.values()) if line), default=0.0)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        line = self._lines[loop]
        while line:
            future, _ = line.popleft()
            if not future.done():
                future.set_result(None)
                # After its turn: that was put before this.
                loop.call_soon(self._next, loop)
                return
        del self._lines[loop]
