"""Feeds over HTTP and WebSocket: whole messages of any format, endless lines, and what became of all feeds."""

# No `from __future__ import annotations` here: FastAPI reads the annotations of functions made inside functions.
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response, WebSocket, WebSocketDisconnect
from starlette.concurrency import run_in_threadpool

from geomatch.errors import BadInput
from geomatch.feeds.formats import Format, Parser, may_be_emergency, parser_of
from geomatch.feeds.intake import Alarm, Sink, apply
from geomatch.feeds.mapped import JsonMapping
from geomatch.feeds.parsed import Context, Parsed
from geomatch.feeds.tally import Tally
from geomatch.feeds.transports import Transport
from geomatch.model import FixOutcome, FixResult
from geomatch.model.adapters import adapter_of
from geomatch.quantities import UnixTime
from geomatch.service.emergency_desk import EmergencyDesk
from geomatch.service.feed_bodies import (
    SHOWN_FAULTS,
    FeedFault,
    FeedList,
    FeedResults,
    FeedState,
    StreamSummary,
)
from geomatch.service.openapi import gives, takes_raw
from geomatch.service.problems import InvalidBody, WrongMediaType
from geomatch.service.settings import Settings
from geomatch.service.wire import JsonAnswer, read_body

if TYPE_CHECKING:
    from geomatch.matcher import Matcher

LONGEST_LINE = 64 * 1024
MOST_BYTES = 4 * 1024 * 1024
"""Of a message of any format: some 80,000 TAIP messages, read in two seconds."""
SENT_BY_FORMS = ("", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded")
"""What a page of any web site may send without asking. Devices can say what they send, so these are refused."""


@dataclass(frozen=True, kw_only=True)
class Feeds:
    """What a service is told of its feeds."""

    transports: tuple[Transport, ...] = ()
    """Open while the service runs."""
    mappings: Mapping[str, JsonMapping] = field(default_factory=dict)
    """Mapping files by name, for the format `mapped`."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Device id to unit id, where they differ."""
    alarm: Alarm | None = None
    """Who is told of emergencies. None: the service opens them."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """The query of a feed route."""

    format: Format = Format.fixes
    """How the body is written."""
    unit: Annotated[str | None, Query(min_length=1, max_length=254)] = None
    """The unit that all of it is of, whatever it says itself; for formats that name none, such as NMEA."""
    source: Annotated[str | None, Query(min_length=1, max_length=254)] = None
    """The source of its fixes, as `portable`, where they do not say. Else: the format's name."""
    mapping: Annotated[str | None, Query(max_length=254)] = None
    """Which of the service's mapping files, for the format `mapped`."""


Asked = Annotated[Ask, Depends()]


def router(
    matcher: "Matcher",
    clock: Callable[[], UnixTime],
    settings: Settings,
    feeds: Feeds | None = None,
    tally: Tally | None = None,
    *,
    desk: EmergencyDesk | None = None,
) -> APIRouter:
    """The routes, and the transports for as long as the application runs. `tally` counts what comes over HTTP; calls
    for help go to `desk`, unless the feeds say otherwise."""
    feeds = feeds or Feeds()
    if desk is not None and feeds.alarm is None:
        feeds = replace(feeds, alarm=lambda heard: desk.of_feed(heard, source="http", emergencies=matcher.emergencies))
        for one in feeds.transports:
            one.intake.alarm = one.intake.alarm or partial(desk.of_feed, source=one.intake.name)
    return _routes(_Desk(matcher, clock, feeds, tally or Tally(), desk), settings)


def _routes(desk: "_Desk", settings: Settings) -> APIRouter:
    out = APIRouter(tags=["feeds"], lifespan=desk.lifespan)
    results_answer, summary_answer, list_answer = (
        JsonAnswer(FeedResults),
        JsonAnswer(StreamSummary),
        JsonAnswer(FeedList),
    )
    most_bytes = min(MOST_BYTES, settings.max_body_bytes)

    @out.post(
        "/v1/fixes:raw",
        summary="Take a message as a device or another system writes it",
        openapi_extra=takes_raw(),
        responses=gives(FeedResults, 413, 415, 422),
    )
    async def post_raw(request: Request, ask: Asked) -> Response:
        """NMEA, TAIP, OwnTracks, Cursor on Target, EIDO, GeoJSON, or any JSON by a mapping file; one or many reports. A
        faulty report is told in `faults` and the others hold; a message of nothing but faults is refused."""
        check_media_type(request)
        parser = desk.parser(ask)
        raw = await read_body(request, most_bytes)
        parsed, results = await desk.read([raw], parser, ask)
        if parsed[0].is_empty and parsed[0].faults:
            raise _refused(parsed[0])
        return results_answer(_results(parsed[0], results))

    @out.post(
        "/v1/fixes:stream",
        summary="Take lines for as long as they come",
        openapi_extra=takes_raw("application/x-ndjson"),
        responses=gives(StreamSummary, 415, 422),
    )
    async def post_stream(request: Request, ask: Asked) -> Response:
        """One message a line, applied as they come; of any length in all. A bad line is counted and stops nothing. The
        answer comes when the stream ends. `WS /v1/fixes/ws` takes the same query, and answers message by message."""
        check_media_type(request)
        parser, summary = desk.parser(ask), _Summary()
        async for first, lines in lines_in(request.stream()):
            parsed, results = await desk.read(lines, parser, ask)
            summary.add(first, parsed, results)
        return summary_answer(summary.told())

    @out.get("/v1/feeds", summary="What became of every feed's messages", responses=gives(FeedList))
    async def get_feeds() -> Response:
        """Counts since the service started, and the newest faults. `dropped` grows where more comes than is read."""
        return list_answer(FeedList(feeds=desk.states()))

    @out.websocket("/v1/fixes/ws")
    async def fixes_socket(socket: WebSocket, ask: Asked) -> None:
        """A message in, its FeedResults out, in order; whoever waits for them cannot send too fast."""
        await _serve(socket, desk, ask, most_bytes)

    return out


class _Desk:
    """Reads and applies what comes by HTTP, and knows of all other feeds."""

    def __init__(
        self,
        sink: Sink,
        clock: Callable[[], UnixTime],
        feeds: Feeds,
        tally: Tally,
        emergencies: EmergencyDesk | None = None,
    ) -> None:
        self._sink = sink
        self._emergencies = emergencies
        self._clock = clock
        self._feeds = feeds
        self._tally = tally

    @asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for transport in self._feeds.transports:
                await stack.enter_async_context(transport.open())
            yield

    def parser(self, ask: Ask) -> Parser:
        if ask.mapping is not None and ask.mapping not in self._feeds.mappings:
            raise BadInput("the service has no mapping file of this name; see how it was started")
        return parser_of(ask.format, self._feeds.mappings.get(ask.mapping or ""))

    async def read(self, raws: list[bytes], parser: Parser, ask: Ask) -> tuple[list[Parsed], list[FixResult]]:
        """Outside the loop; what may be a call for help waits for no thread."""
        if self._emergencies is not None and any(map(may_be_emergency, raws)):
            return await self._emergencies.run(self.take, raws, parser, ask)
        return await run_in_threadpool(self.take, raws, parser, ask)

    def take(self, raws: list[bytes], parser: Parser, ask: Ask) -> tuple[list[Parsed], list[FixResult]]:
        """Slow for long messages: not in the loop."""
        now = self._clock()
        context = Context(received=now, source=ask.source or ask.format, unit=ask.unit, units=self._feeds.units)
        self._tally.note("received", len(raws))
        # A blank line keeps a connection alive, and says nothing.
        parsed = [parser(raw, context) if raw.strip() else Parsed() for raw in raws]
        return parsed, apply(parsed, self._sink, self._tally, now=now, alarm=self._feeds.alarm)

    def states(self) -> list[FeedState]:
        named = [("http", self._tally.counts(), self._tally)]
        named += [(one.intake.name, one.intake.counts(), one.intake.tally) for one in self._feeds.transports]
        return [
            FeedState(name=name, counts=counts, faults=[FeedFault.of(fault) for fault in tally.recent_faults()])
            for name, counts, tally in named
        ]


class _Summary:
    def __init__(self) -> None:
        self._lines = 0
        self._outcomes: Counter[FixOutcome] = Counter()
        self._numbers: Counter[str] = Counter()
        self._faults: list[FeedFault] = []

    def add(self, first: int, parsed: list[Parsed], results: list[FixResult]) -> None:
        self._lines += len(parsed)
        self._outcomes.update(result.outcome for result in results)
        for number, one in enumerate(parsed, start=first):
            self._numbers.update(
                statuses=len(one.statuses), emergencies=len(one.emergencies), ignored=one.ignored,
                fault_count=sum(one.fault_counts.values()),
            )  # fmt: skip
            for fault in one.faults[: SHOWN_FAULTS - len(self._faults)]:
                self._faults.append(FeedFault(location=f"line {number}", kind=fault.kind, message=fault.message))

    def told(self) -> StreamSummary:
        return StreamSummary(
            lines=self._lines,
            applied=self._outcomes[FixOutcome.applied],
            outcomes={outcome.value: times for outcome, times in self._outcomes.items()},
            faults=self._faults,
            **{name: self._numbers[name] for name in ("statuses", "emergencies", "ignored", "fault_count")},
        )


async def lines_in(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, list[bytes]]]:
    """The whole lines of each chunk, and the number of the first of them. A line too long is cut, so that it is
    a fault and takes no room."""
    rest, number = b"", 1
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[:LONGEST_LINE]
        if lines:
            yield number, [line[:LONGEST_LINE] for line in lines]
            number += len(lines)
    if rest:
        yield number, [rest]


async def _serve(socket: WebSocket, desk: _Desk, ask: Ask, most_bytes: int) -> None:
    if not _is_own_page(socket):
        await socket.close(1008)
        return
    await socket.accept()
    try:
        parser = desk.parser(ask)
    except BadInput as fault:
        await socket.close(1008, str(fault)[:120])
        return
    write: Any = adapter_of(FeedResults).dump_json
    while (message := await socket.receive())["type"] != "websocket.disconnect":
        raw = message.get("bytes") or (message.get("text") or "").encode("utf-8", "replace")
        if len(raw) > most_bytes:
            await socket.close(1009)
            return
        parsed, results = await desk.read([raw], parser, ask)
        try:
            await socket.send_text(write(_results(parsed[0], results)).decode())
        except WebSocketDisconnect:
            return


def _results(parsed: Parsed, results: list[FixResult]) -> FeedResults:
    return FeedResults(
        applied=sum(result.outcome is FixOutcome.applied for result in results),
        results=results,
        statuses=len(parsed.statuses),
        emergencies=len(parsed.emergencies),
        ignored=parsed.ignored,
        fault_count=sum(parsed.fault_counts.values()),
        faults=[FeedFault.of(fault) for fault in parsed.faults[:SHOWN_FAULTS]],
    )


def _refused(parsed: Parsed) -> InvalidBody:
    faults = [{"loc": (fault.where,), "type": fault.kind, "msg": fault.message} for fault in parsed.faults]
    return InvalidBody(faults, sum(parsed.fault_counts.values()))


def check_media_type(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in SENT_BY_FORMS:
        raise WrongMediaType(
            "say what is sent, as Content-Type: application/octet-stream, or application/json for JSON"
        )


def _is_own_page(socket: WebSocket) -> bool:
    """A browser names the page that opens the socket, and asks nobody: another site's page must not move units."""
    origin = socket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == socket.headers.get("host")
