"""pydantic's readers and writers of our types, made when first asked for: the core itself imports no pydantic."""

from __future__ import annotations

from functools import cache
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_T = TypeVar("_T")

_making = RLock()
"""Making one parses our source for its docstrings, and CPython before 3.11.8 and 3.12.2 fails where two threads do so
at once (SystemError: AST constructor recursion depth mismatch)."""


def adapter_of(kind: type[_T]) -> TypeAdapter[_T]:
    """Of a type, or of a list of one. Kept, whoever asks: making one takes 10 to 100 ms."""
    with _making:
        return _made(kind)  # type: ignore[arg-type]  # mypy holds a type[T] to be unhashable


@cache
def _made(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
