"""JSON in and out, straight between bytes and the model's types."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Generic, TypeVar

from fastapi import Request, Response
from pydantic import ValidationError

from geomatch.model.adapters import adapter_of
from geomatch.service.problems import BodyTooLarge, InvalidBody, NotJson

T = TypeVar("T")

LISTED_FAULTS = 10_000
"""A body of millions of faults would take seconds to list; beyond this it is only counted."""


class JsonBody(Generic[T]):
    """Reads a request's body as a T, as a FastAPI dependency.

    Not FastAPI's own reading: that goes through json.loads, which takes NaN, any depth and any length. Here pydantic
    parses the bytes itself, strictly: no NaN, no text for a number, no unknown key. O(body), about 3 us for a stop.
    """

    def __init__(self, kind: type[T], max_bytes: int, *, reword: Callable[[bytes], bytes | None] | None = None) -> None:
        """`reword`: a body that is not valid as it stands, in other words; None: it has no others."""
        self._adapter = adapter_of(kind)
        self._max_bytes, self._reword = max_bytes, reword

    async def __call__(self, request: Request) -> T:
        """Raises NotJson, BodyTooLarge or InvalidBody."""
        return self.of(await self.raw(request))

    async def raw(self, request: Request) -> bytes:
        """Raises NotJson or BodyTooLarge."""
        if not _says_json(request.headers.get("content-type", "")):
            raise NotJson("send JSON, with the header Content-Type: application/json")
        return await read_body(request, self._max_bytes)

    def of(self, raw: bytes) -> T:
        """10 us a fix: for a long body not in the event loop. Raises InvalidBody."""
        try:
            return self._read(raw)
        except ValidationError as fault:
            count = fault.error_count()
            listed = (
                fault.errors(include_url=False, include_context=False, include_input=False)
                if count <= LISTED_FAULTS
                else []
            )
            raise InvalidBody(listed, count) from None

    def _read(self, raw: bytes) -> T:
        try:
            return self._adapter.validate_json(raw, strict=True)
        except ValidationError:
            other = None if self._reword is None else self._reword(raw)
            if other is None:
                raise
        return self._adapter.validate_json(other, strict=True)


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Raises BodyTooLarge, before it is read where the request tells its length."""
    too_large = BodyTooLarge(f"a body may have {max_bytes:,} bytes at most: send it in parts")
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated[:20]) > max_bytes:
        raise too_large
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > max_bytes:
            raise too_large
    return bytes(raw)


class JsonAnswer(Generic[T]):
    """Writes a T as a response: pydantic's serialiser to bytes, and nothing between."""

    def __init__(self, kind: type[T], media: str = "application/json") -> None:
        self._adapter = adapter_of(kind)
        self._media = media

    def __call__(self, value: T, status: int = 200, *, leave_out: AbstractSet[str] = frozenset()) -> Response:
        """`leave_out`: fields of T that are never read, and null in the answer."""
        raw = self._adapter.dump_json(value, exclude=set(leave_out) or None)
        if leave_out:
            nulls = ",".join(f'"{name}":null' for name in sorted(leave_out))
            raw = raw[:-1] + b"," + nulls.encode() + b"}"
        # Positions of patrol units: no proxy on the way may keep them.
        return Response(raw, status, {"cache-control": "no-store"}, self._media)


def _says_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
