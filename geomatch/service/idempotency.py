"""What a client sends twice because the answer was lost is done once: it names a key, and gets the first answer."""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geomatch.journal.answers import Answers, Given
from geomatch.journal.faults import JournalDown
from geomatch.quantities import Seconds, UnixTime
from geomatch.service import problems

HEADER = b"idempotency-key"
MOST_KEPT = 10_000
"""Answers, the newest; some 2 kB each."""
EXPIRES_S: Seconds = 24 * 3600.0
"""After this a key is forgotten, and may be used anew. Until then a restart forgets none, where a journal is kept."""
LONGEST_KEY = 255
LONGEST_BODY = 64 * 1024
IN_PROGRESS = problems.Kind(409, "in_progress", "The first of its kind is being answered")
REUSED = problems.Kind(422, "idempotency_key_reused", "The key was used for something else")
_log = logging.getLogger(__name__)
BAD_KEY = problems.Kind(422, "bad_input", "Request is not valid")


@dataclass
class _Kept:
    body: bytes
    """Hash of path and body."""
    at: UnixTime
    messages: list[Message] = field(default_factory=list)
    done: bool = False


class Repeats:
    """The answers that were given to keys, of each caller its own."""

    def __init__(self, clock: Callable[[], UnixTime], answers: Answers | None = None) -> None:
        """Knows those that `answers` has; and whatever is answered is there before it is sent."""
        self._clock, self._answers = clock, answers
        self._kept: OrderedDict[tuple[str, bytes], _Kept] = OrderedDict()
        if answers is not None:
            for given in reversed(list(answers.since(clock() - EXPIRES_S, most=MOST_KEPT))):
                self._kept[given.caller, given.key.encode("latin-1")] = _of(given)

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
        name, now = (caller, key), self._clock()
        if (known := self._kept.get(name)) and now - known.at < EXPIRES_S:
            await _again(known, digest, scope, receive, send)
            return
        kept = self._kept[name] = _Kept(digest, now)
        self._kept.move_to_end(name)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        messages: list[Message] = []

        async def noting(message: Message) -> None:
            messages.append(message)

        try:
            await app(scope, _replayed(read, receive), noting)
            if messages and messages[0]["status"] < 500:
                kept.messages, kept.done = messages, True
                await self._keep(name, kept)
        finally:
            if not kept.done and self._kept.get(name) is kept:
                del self._kept[name]
        for message in messages:
            await send(message)

    async def _keep(self, name: tuple[str, bytes], kept: _Kept) -> None:
        if self._answers is None:
            return
        try:
            await run_in_threadpool(self._answers.keep, _given(name, kept))
        except JournalDown as fault:
            # What it acknowledges is recorded: only that it was answered is not, and a restart would ask anew.
            _log.warning("the answer to an idempotency key is not recorded: %s", fault)


def _given(name: tuple[str, bytes], kept: _Kept) -> Given:
    start = kept.messages[0]
    return Given(
        caller=name[0], key=name[1].decode("latin-1"), asked=kept.body.hex(), at=kept.at, status=start["status"],
        headers=tuple((header.decode("latin-1"), value.decode("latin-1")) for header, value in start["headers"]),
        body=b"".join(message.get("body", b"") for message in kept.messages[1:]).decode(),
    )  # fmt: skip


def _of(given: Given) -> _Kept:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in given.headers]
    messages: list[Message] = [
        {"type": "http.response.start", "status": given.status, "headers": headers},
        {"type": "http.response.body", "body": given.body.encode(), "more_body": False},
    ]
    return _Kept(bytes.fromhex(given.asked), given.at, messages, done=True)


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
