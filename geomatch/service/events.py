"""Server-sent events of open stops, resumed after a break where the reader left off."""

# No `from __future__ import annotations` here: FastAPI reads the annotations of functions made inside functions.
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Response
from starlette.responses import StreamingResponse

from geomatch.backup.stop_events import EventKind
from geomatch.errors import UnknownStop
from geomatch.service.callers import Caller, caller
from geomatch.service.event_log import EventLog, Logged
from geomatch.service.openapi import gives

if TYPE_CHECKING:
    from geomatch.matcher import Matcher

RETRY_MS = 2_000
"""A reader that was cut off tries again after this long."""
QUIET_S = 15.0
"""After so long without an event a comment is sent: a proxy keeps the line, and a reader that is gone is noticed."""
STILL_THERE = b": still there\n\n"
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", max_length=100)]
UNKEPT = {"cache-control": "no-cache", "x-accel-buffering": "no"}
"""Neither kept nor collected on the way."""
Wanted = Callable[[Logged], bool]


class EventStream(StreamingResponse):
    """Not FastAPI's own, which runs three tasks and two queues for each reader: with 1,000 readers of 200 stops a
    ranking in a hundred took 250 ms."""

    media_type = "text/event-stream"


async def _asking() -> Caller:
    """Kept for as long as the stream lasts."""
    return caller()


Asking = Annotated[Caller, Depends(_asking)]


def router(matcher: "Matcher", log: EventLog, *behind: AbstractContextManager[object]) -> APIRouter:
    """Both streams begin with `begin`, or with `reset` where what the reader missed is gone: ask for the stops then.

    `behind`: what looks at the stops and posts events, for as long as the application runs.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        with ExitStack() as stack:
            for one in behind:
                stack.enter_context(one)
            yield

    routes = APIRouter(tags=["events"], lifespan=lifespan)

    def open_or_told_of(stop_id: str, asking: Asking, last_event_id: LastEventId = None) -> str:
        """A stop that was cleared while its reader was away still has its last events for it."""
        seq = log.seq_of(last_event_id or "")
        missed = (log.since(seq) or []) if seq is not None else []
        told = any(one.event.stop == stop_id and asking.owns(one.event.agency) for one in missed)
        if stop_id not in matcher.stops.view().stops and not told:
            raise UnknownStop("this stop is not open: open it first, or it was cleared")
        return stop_id

    @routes.get(
        "/v1/stops/{stop_id:path}/events",
        summary="What is new at an open stop",
        response_class=EventStream,
        responses=gives(None, 404, 422),
    )
    async def get_stop_events(
        stop_id: Annotated[str, Depends(open_or_told_of)], asking: Asking, last_event_id: LastEventId = None
    ) -> Response:
        """Its ranking when it changes, a closer unit, cover lost or delayed, no cover, status checks, a sentence for
        the officer. Ends after `cleared`."""

        def wanted(one: Logged) -> bool:
            return one.event.stop == stop_id and asking.owns(one.event.agency)

        return EventStream(_stream(log, last_event_id, wanted, stop_id), headers=UNKEPT)

    @routes.get(
        "/v1/events",
        summary="What is new at every open stop",
        response_class=EventStream,
        responses=gives(None, 422),
    )
    async def get_events(
        asking: Asking,
        position: Annotated[str | None, Query(max_length=254)] = None,
        last_event_id: LastEventId = None,
    ) -> Response:
        """Of all stops of the caller's agencies, or those of one dispatch position."""

        def wanted(one: Logged) -> bool:
            return position in {None, one.event.position} and asking.owns(one.event.agency)

        return EventStream(_stream(log, last_event_id, wanted), headers=UNKEPT)

    return routes


async def _stream(
    log: EventLog, last_event_id: str | None, wanted: Wanted, stop: str | None = None
) -> AsyncIterator[bytes]:
    """Of one stop to its end, or of all without end. What a reader is slow to take is not made for it: it waits in the
    log, and is gone from there one day."""
    seq = log.newest if last_event_id is None else log.seq_of(last_event_id)
    told = "begin" if seq is not None and log.since(seq) is not None else "reset"
    if seq is None or told == "reset":
        seq = log.newest
    yield _written(told, log.id_of(seq)) + f"retry: {RETRY_MS}\n\n".encode()
    while True:
        try:
            async with asyncio.timeout(QUIET_S):
                seq = await log.after(seq, stop)
        except TimeoutError:
            yield STILL_THERE
            continue
        new = log.since(seq)
        if new is None:
            seq = log.newest
            yield _written("reset", log.id_of(seq)) + b"\n"
            continue
        if log.ended and not new:
            return
        seq += len(new)
        for one in filter(wanted, new):
            yield _written(one.event.kind.value, log.id_of(one.seq), one.data) + b"\n"
            if stop is not None and one.event.kind is EventKind.cleared:
                return


def _written(event: str, event_id: str, data: str = "{}") -> bytes:
    """A server-sent event but for the empty line that ends it. JSON has no line breaks."""
    return f"event: {event}\ndata: {data}\nid: {event_id}\n".encode()
