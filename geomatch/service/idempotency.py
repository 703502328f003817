"""What a client sends twice because the answer was lost is done once: it names a key, and gets the first answer."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geomatch.service import problems

HEADER = b"idempotency-key"
MOST_KEPT = 10_000
"""Answers, the newest; some 2 kB each. A restart forgets them."""
LONGEST_KEY = 255
LONGEST_BODY = 64 * 1024
IN_PROGRESS = problems.Kind(409, "in_progress", "The first of its kind is being answered")
REUSED = problems.Kind(422, "idempotency_key_reused", "The key was used for something else")
BAD_KEY = problems.Kind(422, "bad_input", "Request is not valid")


@dataclass
class _Kept:
    body: bytes
    """Hash of path and body."""
    messages: list[Message] = field(default_factory=list)
    done: bool = False


class Repeats:
    """The answers that were given to keys, of each caller its own."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, bytes], _Kept] = OrderedDict()

    async def run(self, app: ASGIApp, caller: str, scope: Scope, receive: Receive, send: Send) -> None:
        """`app`, unless this was asked before under the same key. A failure of the service is not kept."""
        key = next((value for name, value in scope["headers"] if name == HEADER), None)
        if key is None:
            await app(scope, receive, send)
            return
        if not 1 <= len(key) <= LONGEST_KEY:
            await problems.answer(BAD_KEY, "an Idempotency-Key has 1 to 255 characters")(scope, receive, send)
            return
        read = await _read(receive)
        digest = hashlib.sha256(scope["path"].encode() + b"\0" + b"".join(m.get("body", b"") for m in read)).digest()
        name = (caller, key)
        if known := self._kept.get(name):
            await _again(known, digest, scope, receive, send)
            return
        kept = self._kept[name] = _Kept(digest)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        try:
            await app(scope, _replayed(read, receive), _noting(kept, send))
        finally:
            if not kept.done and self._kept.get(name) is kept:
                del self._kept[name]


async def _again(known: _Kept, digest: bytes, scope: Scope, receive: Receive, send: Send) -> None:
    if known.body != digest:
        told = problems.answer(REUSED, "the key was sent with another request: make a new one for each")
        await told(scope, receive, send)
    elif not known.done:
        told = problems.answer(
            IN_PROGRESS, "the same request is being answered: ask again", headers={"retry-after": "1"}
        )
        await told(scope, receive, send)
    else:
        for message in known.messages:
            await send(message)


async def _read(receive: Receive) -> list[Message]:
    """The body, or as much of it as is ever looked at: a longer one is not what these routes take."""
    messages: list[Message] = []
    length = 0
    while length <= LONGEST_BODY:
        message = await receive()
        messages.append(message)
        length += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            break
    return messages


def _replayed(read: list[Message], receive: Receive) -> Receive:
    left = iter(read)

    async def again() -> Message:
        return next(left, None) or await receive()

    return again


def _noting(kept: _Kept, send: Send) -> Send:
    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 500:
            kept.messages = []
        elif kept.messages or message["type"] == "http.response.start":
            kept.messages.append(message)
            kept.done = not message.get("more_body") and message["type"] == "http.response.body"
        await send(message)

    return noting
