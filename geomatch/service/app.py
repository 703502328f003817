"""The HTTP API over one matcher. Nothing is built at import: `create_app` does it all."""

# No `from __future__ import annotations` here: FastAPI reads the annotations of functions made inside functions.
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from geomatch.backup.stop_events import StopEvent
from geomatch.errors import BadInput, UnknownUnit
from geomatch.feeds.tally import Tally
from geomatch.fleet.delta import FleetDelta
from geomatch.model import Comparison, Explanation, FixOutcome, FixResult, Ranking, Status, Unit, UnitState
from geomatch.quantities import UnixTime
from geomatch.road.by_deadline import Late
from geomatch.service import openapi, problems
from geomatch.service.approvals import router as approval_routes
from geomatch.service.bodies import (
    ComparisonRequest,
    ExplanationRequest,
    FixBatch,
    FixResults,
    FleetChange,
    FleetSnapshot,
    Include,
    RankingRequest,
    StatusReport,
    UnitList,
)
from geomatch.service.closures import router as closure_routes
from geomatch.service.collections import router as collection_routes
from geomatch.service.conditions import Conditions
from geomatch.service.conditions import router as health_routes
from geomatch.service.emergencies import router as emergency_routes
from geomatch.service.emergency_desk import EmergencyDesk
from geomatch.service.event_log import EventLog
from geomatch.service.events import router as event_routes
from geomatch.service.feeds import Feeds
from geomatch.service.feeds import router as feed_routes
from geomatch.service.hot import HotRoutes, endpoints
from geomatch.service.journaling import answers_of
from geomatch.service.limiting import Limits
from geomatch.service.local_words import status_of, stop_of
from geomatch.service.marked_stops import by_marker
from geomatch.service.metrics import Metrics
from geomatch.service.metrics import router as metric_routes
from geomatch.service.openapi import gives, takes
from geomatch.service.pressure import Pressure
from geomatch.service.security import Doors, Ring
from geomatch.service.settings import Settings
from geomatch.service.stop_watch import Looking, StopWatch
from geomatch.service.stops import router as stop_routes
from geomatch.service.tenancy import Tenants
from geomatch.service.tracing import FASTAPI_OFF, Traced
from geomatch.service.webhooks import Webhooks
from geomatch.service.wire import JsonAnswer, JsonBody

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from geomatch.matcher import Matcher
    from geomatch.service.watch import RegionWatch

Clock = Callable[[], UnixTime]


def create_app(
    matcher: "Matcher",
    *,
    clock: Clock = time.time,
    settings: Settings | None = None,
    watch: "RegionWatch | None" = None,
    feeds: Feeds | None = None,
    ring: Ring | None = None,
    limits: Limits | None = None,
    traces: "TracerProvider | None" = None,
) -> FastAPI:
    """The application over `matcher`; `clock` tells the time of whatever does not bring its own.

    `watch` runs for as long as the application does, and so do the transports of `feeds`. Without a `ring` of keys
    whoever reaches it may do everything. `traces`: where spans of requests go; None: there are none.
    """
    settings, metrics, tally = settings or Settings(), Metrics(), Tally()
    # What routes are given; what runs by itself has the matcher.
    asked = matcher if ring is None else cast("Matcher", Tenants(matcher, clock=clock))
    transports = () if feeds is None else feeds.transports
    conditions = Conditions(Pressure(settings.pressure), transports)
    # No docs_url: FastAPI's page loads its scripts from other people's servers.
    app = FastAPI(
        title="geomatch", version=_version(), docs_url=None, redoc_url=None,
        lifespan=_lifespan(watch, conditions.pressure), telemetry=FASTAPI_OFF,
    )  # fmt: skip
    problems.install(app)
    rankings, fleet = _rankings(asked, clock, settings, metrics, conditions), _fleet(asked, clock, settings, metrics)
    # What is added last is asked first.
    app.add_middleware(HotRoutes, endpoints=endpoints(rankings, fleet))
    app.add_middleware(
        Doors,
        ring=ring,
        clock=clock,
        limits=limits or Limits(),
        metrics=metrics,
        pressure=conditions.pressure,
        answers=answers_of(matcher),
    )
    if traces is not None:
        app.add_middleware(Traced, provider=traces)
    app.include_router(rankings)
    app.include_router(_units(asked, clock, settings))
    app.include_router(fleet)
    desk = _include_stops(app, matcher, asked, clock, settings)
    app.include_router(feed_routes(asked, clock, settings, feeds, tally, desk=desk))
    app.include_router(approval_routes(asked, clock, settings))
    app.include_router(collection_routes(asked, clock))
    app.include_router(health_routes(matcher, conditions, watch, clock=clock, to_anyone=ring is not None))
    app.include_router(metric_routes(metrics))
    metrics.watch(
        matcher,
        lambda: [("http", tally.counts()), *((one.intake.name, one.intake.counts()) for one in transports)],
        conditions,
        clock=clock,
    )
    # FastAPI's documented way to bring one's own; made when first asked for.
    app.openapi = cache(partial(openapi.document, app))  # type: ignore[method-assign] # a method, replaced on purpose
    return app


def _include_stops(
    app: FastAPI, matcher: "Matcher", asked: "Matcher", clock: Clock, settings: Settings
) -> EmergencyDesk:
    """Open stops, and what is told of them while the application runs."""
    log = EventLog(run=secrets.token_hex(4))
    hooks = Webhooks(settings.webhooks, clock, log.id_of)
    app.state.about_to_end = log.end
    watch = StopWatch(matcher, policy=settings.watch, budget_policy=settings.budget)

    def tell(events: Sequence[StopEvent]) -> None:
        hooks.send(log.append(events))

    desk = EmergencyDesk(matcher, clock, watch, tell, settings.emergency)
    looking = Looking(watch, clock, tell, first=desk.tick)
    # Before the stops: a path of theirs takes whatever follows, since ids may have slashes.
    app.include_router(event_routes(asked, log, hooks, looking))
    app.include_router(emergency_routes(asked, clock, settings, desk))
    app.include_router(stop_routes(asked, clock, settings, looking.look_soon, desk))
    app.include_router(closure_routes(asked, clock, settings, looking.look_soon))
    return desk


def _lifespan(
    watch: "RegionWatch | None", pressure: Pressure
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with pressure.watched():
            with watch or nullcontext():
                yield

    return lifespan


def _rankings(
    matcher: "Matcher", clock: Clock, settings: Settings, metrics: Metrics, conditions: Conditions
) -> APIRouter:
    router = APIRouter(tags=["rankings"])
    ranking_answer, explanation_answer = JsonAnswer(Ranking), JsonAnswer(Explanation)
    comparison_answer = JsonAnswer(Comparison)
    read_ranking = JsonBody(RankingRequest, settings.max_body_bytes, reword=by_marker(matcher))
    read_explanation = JsonBody(ExplanationRequest, settings.max_body_bytes, reword=by_marker(matcher))
    read_comparison = JsonBody(ComparisonRequest, settings.max_body_bytes, reword=by_marker(matcher))

    @router.post(
        "/v1/rankings",
        summary="Rank the units for a stop",
        openapi_extra=takes(RankingRequest),
        responses=gives(Ranking, 404, 413, 415, 422),
    )
    async def post_ranking(request: Request) -> Response:
        """The k soonest units that may go, by eta_s and then unit id. All others are counted by reason; they are
        listed when `include` asks for it."""
        begun = time.monotonic()
        ask = await read_ranking(request)
        at_once = ask.units is None and not ask.include
        await conditions.pressure.admit(stop_of(matcher, ask).urgency, at_once=at_once)
        if at_once:
            # Here and not in a thread: handing it over costs more than the ranking itself (1.1 ms of CPU time
            # against 0.5 with 1,000 units held).
            return answer(ask, begun)
        return await run_in_threadpool(answer, ask, begun)

    def answer(ask: RankingRequest, begun: float) -> Response:
        now = clock() if ask.now is None else ask.now
        with_routes = Include.route in ask.include
        stop, late = stop_of(matcher, ask), _late(ask, begun)
        if ask.units is None:
            ranking = matcher.rank(
                stop, ask.k, now=now, exclude_units=ask.exclude_units, with_routes=with_routes, late=late
            )
        else:
            ranking = matcher.rank_units(
                stop, ask.units, ask.k, now=now, exclude_units=ask.exclude_units, with_routes=with_routes, late=late
            )
        metrics.ranked(ranking)
        ranking = conditions.said_in(ranking)
        if settings.notes:
            ranking = replace(ranking, notes=(*ranking.notes, *settings.notes))
        left_out = {Include.excluded, Include.beyond_k}.difference(ask.include)
        if Include.excluded in ask.include:
            ranking = replace(ranking, excluded=tuple(ranking.excluded))
        if Include.beyond_k in ask.include:
            ranking = replace(ranking, beyond_k=tuple(ranking.beyond_k))
        return ranking_answer(ranking, leave_out=left_out)

    @router.post(
        "/v1/explanations",
        summary="Why is this unit where it is in the ranking?",
        openapi_extra=takes(ExplanationRequest),
        responses=gives(Explanation, 404, 413, 415, 422),
    )
    def post_explanation(ask: Annotated[ExplanationRequest, Depends(read_explanation)]) -> Response:
        """One unit of the fleet that the service holds: its rank, or the reason it has none, in words."""
        told = matcher.explain(ask.stop, ask.unit, now=clock() if ask.now is None else ask.now)
        return explanation_answer(conditions.said_in(told))

    @router.post(
        "/v1/comparisons",
        summary="What do agreements, approvals and borders cost here?",
        openapi_extra=takes(ComparisonRequest),
        responses=gives(Comparison, 413, 415, 422),
    )
    def post_comparison(ask: Annotated[ComparisonRequest, Depends(read_comparison)]) -> Response:
        """The fastest unit under four rules side by side, of the fleet that the service holds."""
        told = matcher.compare(ask.stop, now=clock() if ask.now is None else ask.now)
        return comparison_answer(conditions.said_in(told))

    return router


def _late(ask: RankingRequest, begun: float) -> Late | None:
    if ask.max_wait_ms is None:
        return None
    deadline = begun + ask.max_wait_ms / 1000
    return lambda: time.monotonic() >= deadline


def _units(matcher: "Matcher", clock: Clock, settings: Settings) -> APIRouter:
    router = APIRouter(tags=["units"])
    state_answer, list_answer, status_answer = JsonAnswer(UnitState), JsonAnswer(UnitList), JsonAnswer(Status)
    read_unit = JsonBody(Unit, settings.max_body_bytes)
    read_status = JsonBody(StatusReport, settings.max_body_bytes)

    @router.get("/v1/units", summary="Every unit held", responses=gives(UnitList))
    def get_units() -> Response:
        """With what is known of each: its newest fix and its status."""
        return list_answer(UnitList(units=matcher.states()))

    @router.put(
        "/v1/units/{unit_id:path}/status",
        summary="Set a unit's status",
        openapi_extra=takes(StatusReport),
        responses=gives(Status, 404, 413, 415, 422),
    )
    def put_status(unit_id: str, report: Annotated[StatusReport, Depends(read_status)]) -> Response:
        """Without `at` it holds from the moment it comes in. A status older than the known one changes nothing; the
        answer is the one that holds."""
        status = status_of(matcher, unit_id, report, clock())
        held = matcher.set_status(unit_id, availability=status.availability, activity=status.activity, at=status.at)
        return status_answer(held)

    @router.get("/v1/units/{unit_id:path}", summary="What is known of a unit", responses=gives(UnitState, 404, 422))
    def get_unit(unit_id: str) -> Response:
        """Its newest fix and its status."""
        return state_answer(matcher.state(unit_id))

    @router.put(
        "/v1/units/{unit_id:path}",
        summary="Register a unit, or change it",
        openapi_extra=takes(Unit),
        responses=gives(UnitState, 404, 413, 415, 422) | gives(UnitState, status=201),
    )
    def put_unit(unit_id: str, unit: Annotated[Unit, Depends(read_unit)]) -> Response:
        """A unit that is known keeps its fix and its status. 201: it is new."""
        if unit.id != unit_id:
            raise BadInput("the id in the body is not the id in the path: make them the same")
        known = _is_known(matcher, unit_id)
        matcher.register([unit])
        return state_answer(matcher.state(unit_id), 200 if known else 201)

    @router.delete(
        "/v1/units/{unit_id:path}", status_code=204, summary="Forget a unit", responses=gives(None, 404, 422)
    )
    def delete_unit(unit_id: str) -> Response:
        """It is in no ranking from now on, and its fixes are those of an unknown unit."""
        matcher.remove([unit_id])
        return Response(status_code=204)

    return router


def _fleet(matcher: "Matcher", clock: Clock, settings: Settings, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["units"])
    results_answer = JsonAnswer(FixResults)
    read_fleet = JsonBody(FleetSnapshot, settings.max_body_bytes)
    read_change = JsonBody(FleetChange, settings.max_body_bytes)
    read_fixes = JsonBody(FixBatch, settings.max_body_bytes)

    def counted(results: list[FixResult]) -> FixResults:
        metrics.fixed(results, feed="api")
        return FixResults(applied=sum(one.outcome is FixOutcome.applied for one in results), results=results)

    @router.put(
        "/v1/fleet",
        summary="Replace all units of one source",
        openapi_extra=takes(FleetSnapshot),
        responses=gives(FixResults, 409, 413, 415, 422),
    )
    def put_fleet(fleet: Annotated[FleetSnapshot, Depends(read_fleet)]) -> Response:
        """All or nothing, and how to begin: after a restart on either side, send one."""
        return results_answer(
            counted(matcher.replace_fleet(fleet.units, source=fleet.source, source_seq=fleet.source_seq, now=clock()))
        )

    @router.patch(
        "/v1/fleet",
        summary="Change some units of one source",
        openapi_extra=takes(FleetChange),
        responses=gives(FixResults, 404, 409, 413, 415, 422),
    )
    def patch_fleet(change: Annotated[FleetChange, Depends(read_change)]) -> Response:
        """All or nothing, and only if it follows the last snapshot or change of the source. The results are those of
        its fixes."""
        delta = FleetDelta(units=change.units, removed=change.removed, statuses=change.statuses, fixes=change.fixes)
        results = matcher.apply_delta(delta, source=change.source, source_seq=change.source_seq, now=clock())
        return results_answer(counted(results))

    @router.post(
        "/v1/fixes",
        summary="Report AVL fixes",
        openapi_extra=takes(FixBatch),
        responses=gives(FixResults, 413, 415, 422),
    )
    async def post_fixes(request: Request) -> Response:
        """Up to 10,000 at once. A malformed body is refused whole; a fix of an unknown unit, a late one or one from
        the future is left out, with its own result, and the others are applied."""
        return await run_in_threadpool(take_fixes, await read_fixes.raw(request))

    def take_fixes(raw: bytes) -> Response:
        batch = read_fixes.of(raw)
        return results_answer(counted(matcher.update(batch.fixes, now=clock())))

    return router


def _is_known(matcher: "Matcher", unit_id: str) -> bool:
    try:
        matcher.state(unit_id)
    except UnknownUnit:
        return False
    return True


def _version() -> str:
    try:
        return version("geomatch-dispatch")
    except PackageNotFoundError:
        return "0"  # run from a checkout that is not installed
