"""Events of open stops, posted to whoever cannot hold a stream: signed, in order, and tried again.

Signed as Standard Webhooks has it: HMAC-SHA256 over `id.timestamp.body`, so any of its libraries checks them.
"""

from __future__ import annotations

import base64
import hmac
import http.client
import logging
import queue
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from geomatch.quantities import Seconds, UnixTime, format_time
from geomatch.service.event_log import Logged
from geomatch.service.settings import WebhookTarget

RETRY_AFTER_S: tuple[Seconds, ...] = (1.0, 4.0, 15.0, 60.0)
"""After these it is given up: what a dispatcher was told two minutes late is no help."""
TIMEOUT_S: Seconds = 5.0
QUEUED = 1_000
"""Beyond this the oldest are dropped, and counted."""
NO_USE = range(400, 500)
"""Trying again will not help, but for the two below."""
TRY_AGAIN = frozenset({408, 429})

Post = Callable[[WebhookTarget, bytes, Mapping[str, str]], int]
"""Sends a body and returns the status; raises OSError where there is no answer."""


def signature(key: bytes, *, message_id: str, timestamp: int, body: bytes) -> str:
    """The webhook-signature header."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


class Webhooks(AbstractContextManager["Webhooks"]):
    """A queue and a thread for each target, so that a slow one holds up no other. Used in a `with`."""

    def __init__(
        self,
        targets: Iterable[WebhookTarget],
        clock: Callable[[], UnixTime],
        id_of: Callable[[int], str],
        *,
        post: Post | None = None,
        retry_after_s: Sequence[Seconds] = RETRY_AFTER_S,
    ) -> None:
        ended = threading.Event()
        self._ended = ended
        self._senders = [_Sender(one, clock, id_of, post or _post, tuple(retry_after_s), ended) for one in targets]

    def send(self, events: Iterable[Logged]) -> None:
        """Queues them; nobody waits."""
        for event in events:
            for sender in self._senders:
                sender.put(event)

    def counts(self) -> list[Mapping[str, int]]:
        """By target: delivered, retried, refused, given_up, dropped."""
        return [dict(sender.counts) for sender in self._senders]

    def __enter__(self) -> Self:
        for sender in self._senders:
            threading.Thread(target=sender.run, name="webhook", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()


class _Sender:
    def __init__(
        self,
        target: WebhookTarget,
        clock: Callable[[], UnixTime],
        id_of: Callable[[int], str],
        post: Post,
        retry_after_s: tuple[Seconds, ...],
        ended: threading.Event,
    ) -> None:
        self._target, self._clock, self._id_of, self._post = target, clock, id_of, post
        self._retry_after_s, self._ended = retry_after_s, ended
        self._queue: queue.Queue[Logged] = queue.Queue(QUEUED)
        self.counts: Counter[str] = Counter()

    def put(self, event: Logged) -> None:
        if self._target.kinds and event.event.kind not in self._target.kinds:
            return
        while True:
            try:
                self._queue.put_nowait(event)
            except queue.Full:
                try:
                    self._queue.get_nowait()
                    self.counts["dropped"] += 1
                except queue.Empty:
                    pass
            else:
                return

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                event = self._queue.get(timeout=0.5)
            except queue.Empty:
                continue
            self._deliver(event)

    def _deliver(self, event: Logged) -> None:
        """Until it is taken, refused for good, or too late."""
        when = format_time(event.event.at)
        body = f'{{"type":"stop.{event.event.kind}","timestamp":"{when}","data":{event.data}}}'.encode()
        for wait_s in (*self._retry_after_s, None):
            status = self._attempt(self._id_of(event.seq), body)
            if status is not None and 200 <= status < 300:
                self.counts["delivered"] += 1
                return
            if status is not None and status in NO_USE and status not in TRY_AGAIN:
                self.counts["refused"] += 1
                self._say("refused an event with status", status)
                return
            if wait_s is None or self._ended.wait(wait_s):
                break
            self.counts["retried"] += 1
        self.counts["given_up"] += 1
        self._say("did not take an event; its last answer was", status)

    def _attempt(self, message_id: str, body: bytes) -> int | None:
        """Signed anew each time: a receiver refuses what is minutes old."""
        now = int(self._clock())
        headers = {
            **self._target.headers,
            "content-type": "application/json",
            "user-agent": "geomatch",
            "webhook-id": message_id,
            "webhook-timestamp": str(now),
            "webhook-signature": signature(self._target.key, message_id=message_id, timestamp=now, body=body),
        }
        try:
            return self._post(self._target, body, headers)
        except (OSError, http.client.HTTPException):
            return None

    def _say(self, what: str, status: int | None) -> None:
        # Without its query: keys are sometimes put there.
        where = self._target.url.partition("?")[0]
        logging.getLogger(__name__).warning("the webhook at %s %s %s", where, what, status)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What was signed for one address is not carried to another."""

    def redirect_request(self, *_args: Any) -> None:
        return None


def _post(target: WebhookTarget, body: bytes, headers: Mapping[str, str]) -> int:
    ask = urllib.request.Request(target.url, data=body, headers=dict(headers), method="POST")  # noqa: S310 - http(s) only: the target checked it
    try:
        with urllib.request.build_opener(_NoRedirect).open(ask, timeout=TIMEOUT_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as fault:
        fault.close()
        return fault.code
