"""Calls for help over HTTP."""

# No `from __future__ import annotations` here: FastAPI reads the annotations of functions made inside functions.
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Response

from geomatch.backup.calls_for_help import Alarm, OpenEmergency
from geomatch.errors import UnknownStop
from geomatch.model import Ranking
from geomatch.quantities import UnixTime
from geomatch.service.emergency_bodies import (
    EmergencyCall,
    EmergencyChange,
    EmergencyDecision,
    EmergencyList,
    EmergencyReport,
)
from geomatch.service.emergency_desk import EmergencyDesk
from geomatch.service.openapi import gives, takes
from geomatch.service.settings import Settings
from geomatch.service.wire import JsonAnswer, JsonBody

if TYPE_CHECKING:
    from geomatch.matcher import Matcher

Clock = Callable[[], UnixTime]


class _Desk:
    """What the routes do, in threads."""

    def __init__(self, matcher: "Matcher", clock: Clock, settings: Settings, desk: EmergencyDesk) -> None:
        self._matcher, self._clock, self._desk = matcher, clock, desk
        self._candidates = settings.emergency.candidates
        self._answer, self._ranking_answer = JsonAnswer(EmergencyReport), JsonAnswer(Ranking)

    def report(self, one: OpenEmergency) -> EmergencyReport:
        held = None if one.over_at is not None else self._matcher.stops.view().stops.get(one.id)
        return EmergencyReport(emergency=one, open_stop=held)

    def call(self, call: EmergencyCall) -> Response:
        now = self._clock()
        alarm = Alarm(
            unit=call.unit, at=now if call.raised_at is None else call.raised_at, device=call.device, kind=call.kind,
            source="api", stopped_at=now if call.cancelled else None, place=call.at, position=call.position,
            need=call.need or self._desk.need,
        )  # fmt: skip
        known = self._matcher.emergencies.known(alarm)
        told = self._desk.hear(alarm, self._matcher.emergencies)
        if told is None:
            raise UnknownStop("no emergency of this unit is open: it was closed, or there is nothing to take back")
        return self._answered(told, 200 if known is not None else 201)

    def change(self, emergency_id: str, change: EmergencyChange) -> Response:
        now, emergencies = self._clock(), self._matcher.emergencies
        told = emergencies.get(emergency_id)
        if change.at is not None:
            told = emergencies.locate(emergency_id, now=now, at=change.at, at_once=self._desk.look)
        if change.decision is not None:
            stands = change.decision is EmergencyDecision.stands
            told = emergencies.decide(emergency_id, stands=stands, at=now, by=change.by)
            self._desk.look(told)
        return self._answered(told)

    def get(self, emergency_id: str) -> Response:
        return self._answered(self._matcher.emergencies.get(emergency_id))

    def _answered(self, told: OpenEmergency, status: int = 200) -> Response:
        report = self.report(told)
        answer = self._answer(report, status, leave_out={"ranking"})
        if report.open_stop is not None:
            ranking = self._matcher.rank(report.open_stop.stop, self._candidates, now=self._clock())
            raw = bytes(self._ranking_answer(ranking, leave_out={"excluded", "beyond_k"}).body)
            raw = bytes(answer.body).removesuffix(b"null}") + raw + b"}"
            return Response(raw, status, {"cache-control": "no-store"}, "application/json")
        return answer


def router(matcher: "Matcher", clock: Clock, settings: Settings, desk: EmergencyDesk) -> APIRouter:
    """Each is answered in a thread of its own, before whatever else waits."""
    routes = APIRouter(tags=["emergencies"])
    work, list_answer = _Desk(matcher, clock, settings, desk), JsonAnswer(EmergencyList)
    read_call = JsonBody(EmergencyCall, settings.max_body_bytes)
    read_change = JsonBody(EmergencyChange, settings.max_body_bytes)

    @routes.get("/v1/emergencies", summary="Every open emergency", responses=gives(EmergencyList))
    async def get_emergencies() -> Response:
        """Also those that nobody can place, and those that were taken back and wait for a person's word."""
        listed = [work.report(one) for one in matcher.emergencies.view().values()]
        return list_answer(EmergencyList(emergencies=listed))

    @routes.post(
        "/v1/emergencies",
        summary="An officer calls for help",
        openapi_extra=takes(EmergencyCall),
        responses=gives(EmergencyReport, 404, 413, 415, 422) | gives(EmergencyReport, status=201),
    )
    async def post_emergency(call: Annotated[EmergencyCall, Depends(read_call)]) -> Response:
        """Opens a stop where the unit is, its officer on scene, or raises the one it stands at; ranks it before all
        other work. 200: it is open already, and was repeated or taken back. A place that is old or not known is said,
        and nothing is refused for it."""
        return await desk.run(work.call, call)

    @routes.get(
        "/v1/emergencies/{emergency_id:path}", summary="An open emergency", responses=gives(EmergencyReport, 404, 422)
    )
    async def get_emergency(emergency_id: str) -> Response:
        """With its stop, which has the same id, and who can be there first now."""
        return await desk.run(work.get, emergency_id)

    @routes.patch(
        "/v1/emergencies/{emergency_id:path}",
        summary="Say where an emergency is, or whether it stands",
        openapi_extra=takes(EmergencyChange),
        responses=gives(EmergencyReport, 404, 413, 415, 422),
    )
    async def patch_emergency(emergency_id: str, change: Annotated[EmergencyChange, Depends(read_change)]) -> Response:
        """A person's word: an alarm that was taken back is open until somebody says that it is over."""
        return await desk.run(work.change, emergency_id, change)

    return routes
