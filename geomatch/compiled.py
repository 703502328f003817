"""Compiled loops: numba's njit with the GIL released, and a cache on disk wherever there is room for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Loop = TypeVar("Loop", bound=Callable[..., Any])


def kernel(loop: Loop) -> Loop:
    """Compiles `loop` when it is first called. The machine code is kept beside the source, or in the user's cache.

    In a read-only installation without a home there is neither, and every process compiles again (seconds): then
    NUMBA_CACHE_DIR should name a folder that can be written.
    """
    try:
        return cast("Loop", njit(nogil=True, cache=True)(loop))
    except RuntimeError:  # "cannot cache function: no locator available"
        return cast("Loop", njit(nogil=True)(loop))
