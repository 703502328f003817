"""Server-sent events of open stops, resumed after a break where the reader left off."""

# No `from __future__ import annotations` here: FastAPI reads the annotations of functions made inside functions.
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from geomatch.backup.stop_events import EventKind
from geomatch.errors import UnknownStop
from geomatch.service.callers import Caller, caller
from geomatch.service.event_log import EventLog, Logged
from geomatch.service.openapi import gives

if TYPE_CHECKING:
    from geomatch.matcher import Matcher

RETRY_MS = 2_000
"""A reader that was cut off tries again after this long."""
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", max_length=100)]
Wanted = Callable[[Logged], bool]


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
        response_class=EventSourceResponse,
        responses=gives(None, 404, 422),
    )
    async def get_stop_events(
        stop_id: Annotated[str, Depends(open_or_told_of)], asking: Asking, last_event_id: LastEventId = None
    ) -> AsyncIterator[ServerSentEvent]:
        """Its ranking when it changes, a closer unit, cover lost or delayed, no cover, status checks, a sentence for
        the officer. Ends after `cleared`."""
        events = _stream(log, last_event_id, lambda one: one.event.stop == stop_id and asking.owns(one.event.agency))
        async for one in events:
            yield one
            if one.event == EventKind.cleared:
                return

    @routes.get(
        "/v1/events",
        summary="What is new at every open stop",
        response_class=EventSourceResponse,
        responses=gives(None, 422),
    )
    async def get_events(
        asking: Asking,
        position: Annotated[str | None, Query(max_length=254)] = None,
        last_event_id: LastEventId = None,
    ) -> AsyncIterator[ServerSentEvent]:
        """Of all stops of the caller's agencies, or those of one dispatch position."""
        events = _stream(
            log,
            last_event_id,
            lambda one: position in {None, one.event.position} and asking.owns(one.event.agency),
        )
        async for one in events:
            yield one

    return routes


async def _stream(log: EventLog, last_event_id: str | None, wanted: Wanted) -> AsyncIterator[ServerSentEvent]:
    seq = log.newest if last_event_id is None else log.seq_of(last_event_id)
    told = "begin" if seq is not None and log.since(seq) is not None else "reset"
    if seq is None or told == "reset":
        seq = log.newest
    yield ServerSentEvent(event=told, id=log.id_of(seq), raw_data="{}", retry=RETRY_MS)
    while True:
        await log.after(seq)
        new = log.since(seq)
        if new is None:
            seq = log.newest
            yield ServerSentEvent(event="reset", id=log.id_of(seq), raw_data="{}")
            continue
        if log.ended and not new:
            return
        for one in new:
            seq = one.seq
            if wanted(one):
                yield ServerSentEvent(event=one.event.kind.value, id=log.id_of(seq), raw_data=one.data)
