"""Ways messages come besides HTTP. Each fills an intake for as long as it is open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from geomatch.feeds.intake import Intake


class Transport(Protocol):
    """A way in that an application opens when it starts."""

    @property
    def intake(self) -> Intake: ...

    def open(self) -> AbstractAsyncContextManager[None]:
        """Receives and reads while it is open. Raises BadInput where it cannot begin."""
        ...


@asynccontextmanager
async def running(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs them while the context is open, and ends them with it."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
