"""Open stops and assignments over HTTP."""

# No `from __future__ import annotations` here: FastAPI reads the annotations of functions made inside functions.
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Response
from starlette.concurrency import run_in_threadpool

from geomatch.aid.vocabulary import LocalWords
from geomatch.backup.assignments import Assignment
from geomatch.backup.overrides import Overrides, overrides
from geomatch.backup.timers import status_check
from geomatch.errors import GeomatchError, IllegalStep, LimitReached, LostRace, MayNotGo
from geomatch.model import Phase, Ranking, Stop, Urgency
from geomatch.quantities import UnixTime
from geomatch.service import problems
from geomatch.service.emergency_desk import EmergencyDesk
from geomatch.service.local_words import stop_in_canonical
from geomatch.service.marked_stops import by_marker
from geomatch.service.openapi import gives, takes
from geomatch.service.settings import Settings
from geomatch.service.stop_bodies import (
    AssignmentRefused,
    AssignmentRequest,
    AssignmentStep,
    StopChange,
    StopList,
    StopOpening,
    StopReport,
)
from geomatch.service.wire import JsonAnswer, JsonBody

if TYPE_CHECKING:
    from geomatch.backup.assignments import OpenStop
    from geomatch.matcher import Matcher

Clock = Callable[[], UnixTime]
FRESH_K = 5
"""Candidates of the ranking that comes with a refusal."""


def router(
    matcher: "Matcher", clock: Clock, settings: Settings, changed: Callable[[], None], desk: EmergencyDesk
) -> APIRouter:
    """`changed` is told after each change, so that whoever watches the stops looks at once; at an officer emergency
    `desk` looks before all else."""
    routes = APIRouter(tags=["stops"])
    _stops(routes, matcher, clock, settings, changed, desk)
    _assignments(routes, matcher, clock, settings, changed)
    return routes


def _stops(
    router: APIRouter,
    matcher: "Matcher",
    clock: Clock,
    settings: Settings,
    changed: Callable[[], None],
    desk: EmergencyDesk,
) -> None:
    report_answer, list_answer = JsonAnswer(StopReport), JsonAnswer(StopList)
    read_opening = JsonBody(StopOpening, settings.max_body_bytes, reword=by_marker(matcher))
    read_change = JsonBody(StopChange, settings.max_body_bytes)
    policy = settings.watch.timers

    def report(held: "OpenStop", now: UnixTime) -> StopReport:
        check = None if held.cleared_at is not None else status_check(held, policy, now=now)
        return StopReport(open_stop=held, status_check=check)

    @router.get("/v1/stops", summary="Every open stop", responses=gives(StopList))
    def get_stops() -> Response:
        """With its assignments and its next status check."""
        view, now = matcher.stops.view(), clock()
        return list_answer(StopList(version=view.version, stops=[report(held, now) for held in view.stops.values()]))

    @router.post(
        "/v1/stops",
        summary="Open a stop",
        openapi_extra=takes(StopOpening),
        responses=gives(StopReport, 409, 413, 415, 422) | gives(StopReport, status=201),
    )
    async def post_stop(opening: Annotated[StopOpening, Depends(read_opening)]) -> Response:
        """200: the same stop is open already. Ask for its ranking by its id, and assign on the version of that. One of
        APCO type HLP1 or MAYDAY is an officer emergency, whatever urgency it says."""
        stop = stop_in_canonical(matcher, opening.stop, opening.local)
        return await (desk.run if _is_emergency(stop) else run_in_threadpool)(opened, stop, opening.position)

    def opened(stop: Stop, position: str | None) -> Response:
        now = clock()
        known = matcher.stops.view().stops.get(stop.id)
        held = matcher.open_stop(stop, at=now, position=position)
        looked(held)
        return report_answer(report(held, now), 201 if held is not known else 200)

    def looked(held: "OpenStop") -> None:
        if _is_emergency(held.stop):
            desk.look_at(held.stop.id)
        changed()

    @router.get("/v1/stops/{stop_id:path}", summary="An open stop", responses=gives(StopReport, 404, 422))
    def get_stop(stop_id: str) -> Response:
        """Its assignments with all their steps, and its next status check."""
        return report_answer(report(matcher.stops.get(stop_id), clock()))

    @router.patch(
        "/v1/stops/{stop_id:path}",
        summary="Tell what has changed at a stop",
        openapi_extra=takes(StopChange),
        responses=gives(StopReport, 404, 409, 413, 415, 422),
    )
    def patch_stop(stop_id: str, change: Annotated[StopChange, Depends(read_change)]) -> Response:
        """Phase, urgency, need, who is on scene, an answered status check, code 4. 409: no step from here."""
        now = clock()
        held = _changed(matcher, stop_id, change, now)
        looked(held)
        return report_answer(report(held, now))

    @router.delete("/v1/stops/{stop_id:path}", status_code=204, summary="Clear a stop", responses=gives(None, 404, 422))
    def delete_stop(stop_id: str) -> Response:
        """It is over: its units are free, and the places they took under agreements are given back."""
        matcher.stops.clear(stop_id, at=clock())
        changed()
        return Response(status_code=204)


def _is_emergency(stop: Stop) -> bool:
    return stop.urgency is Urgency.officer_emergency and stop.phase is not Phase.cleared


def _changed(matcher: "Matcher", stop_id: str, change: StopChange, now: UnixTime) -> "OpenStop":
    """All of it, or none: the phase goes first, since only it can be refused."""
    stops = matcher.stops
    with stops.deciding:
        held = stops.get(stop_id)
        urgency = change.urgency
        if change.local_urgency is not None:
            urgency = stop_in_canonical(matcher, held.stop, LocalWords(urgency=change.local_urgency)).urgency
        if change.phase is not None and change.phase is not Phase.cleared:
            held = stops.set_phase(stop_id, change.phase, at=now)
        held = stops.change(stop_id, urgency=urgency, need=change.need, units_on_scene=change.units_on_scene, at=now)
        if change.officer_heard:
            held = stops.heard(stop_id, at=now)
        if change.code_4:
            held = stops.code_4(stop_id, at=now)
        if change.phase is Phase.cleared:
            held = stops.clear(stop_id, at=now)
    return held


def _assignments(
    router: APIRouter, matcher: "Matcher", clock: Clock, settings: Settings, changed: Callable[[], None]
) -> None:
    assignment_answer, override_answer = JsonAnswer(Assignment), JsonAnswer(Overrides)
    refused = _Refusal()
    read_request = JsonBody(AssignmentRequest, settings.max_body_bytes)
    read_step = JsonBody(AssignmentStep, settings.max_body_bytes)

    @router.post(
        "/v1/assignments",
        summary="Assign a unit to an open stop",
        openapi_extra=takes(AssignmentRequest),
        responses=gives(None, 404, 413, 415, 422)
        | gives(Assignment, status=201)
        | gives(AssignmentRefused, status=409, media="application/problem+json"),
    )
    def post_assignment(ask: Annotated[AssignmentRequest, Depends(read_request)]) -> Response:
        """Of all who take one unit at once, one gets 201. The others get 409, with the ranking as it is now."""
        now = clock()
        try:
            one = matcher.assign(
                ask.stop_id, ask.unit, version=ask.version, at=now, reason=ask.reason, by=ask.by
            )  # fmt: skip
        except (LostRace, LimitReached, MayNotGo, IllegalStep) as fault:
            return refused(fault, matcher.rank(matcher.stops.get(ask.stop_id).stop, FRESH_K, now=now))
        changed()
        return assignment_answer(one, 201)

    @router.get("/v1/assignments/{assignment_id}", summary="An assignment", responses=gives(Assignment, 404, 422))
    def get_assignment(assignment_id: str) -> Response:
        """Of a stop that is open: its state, and every step it took."""
        return assignment_answer(matcher.stops.assignment(assignment_id))

    @router.patch(
        "/v1/assignments/{assignment_id}",
        summary="Tell where an assignment stands",
        openapi_extra=takes(AssignmentStep),
        responses=gives(Assignment, 404, 409, 413, 415, 422),
    )
    def patch_assignment(assignment_id: str, step: Annotated[AssignmentStep, Depends(read_step)]) -> Response:
        """Forward through proposed, accepted, en_route and on_scene, or to an end. 409: no step from here."""
        one = matcher.stops.advance(assignment_id, step.state, at=clock())
        changed()
        return assignment_answer(one)

    @router.get("/v1/overrides", summary="How often was another than the first chosen?", responses=gives(Overrides))
    def get_overrides() -> Response:
        """Of the newest decisions, up to 10,000: it judges the ranking, not the dispatchers."""
        return override_answer(overrides(matcher.stops.decisions()))


class _Refusal:
    """Writes a problem with a ranking in it."""

    def __init__(self) -> None:
        self._ranking_answer = JsonAnswer(Ranking)

    def __call__(self, fault: GeomatchError, ranking: Ranking) -> Response:
        raw = bytes(self._ranking_answer(ranking, leave_out={"excluded", "beyond_k"}).body)
        return problems.answer(problems.kind_of(fault), str(fault), parts={"ranking": raw})
