"""What is degraded now, as far as the service sees it and the matcher cannot: said in every ranking and on /readyz."""

# No `from __future__ import annotations` here: FastAPI reads the annotations of functions made inside functions.
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from fastapi import APIRouter, Response

from geomatch.feeds.transports import Transport
from geomatch.model import Comparison, Degraded, Explanation, Ranking, Rung
from geomatch.quantities import UnixTime
from geomatch.service.bodies import Health, Readiness
from geomatch.service.disclosure import in_general
from geomatch.service.openapi import gives
from geomatch.service.pressure import Pressure
from geomatch.service.wire import JsonAnswer

if TYPE_CHECKING:
    from geomatch.matcher import Matcher
    from geomatch.service.watch import RegionWatch

BEHIND_SHARE = 0.5
"""Of the room a feed has for messages that wait; from here on it is said, and at all of it the oldest are dropped."""


Answer = TypeVar("Answer", Ranking, Explanation, Comparison)


class Conditions:
    def __init__(self, pressure: Pressure, transports: Sequence[Transport]) -> None:
        self.pressure, self._transports = pressure, transports

    def now(self) -> tuple[Degraded, ...]:
        return (*self.pressure.told(), *(told for one in self._transports if (told := _behind(one)) is not None))

    def said_in(self, answer: Answer) -> Answer:
        found: tuple[Degraded, ...] = self.now()
        return replace(answer, degraded=(*answer.degraded, *found)) if found else answer


def _behind(feed: Transport) -> Degraded | None:
    share = feed.intake.filled
    if share < BEHIND_SHARE:
        return None
    detail = f"a feed has {feed.intake.queued} messages that wait to be read: positions are older than they could be"
    return Degraded(code=Rung.feed_behind, detail=detail)


def router(
    matcher: "Matcher",
    conditions: Conditions,
    watch: "RegionWatch | None",
    *,
    clock: Callable[[], UnixTime],
    to_anyone: bool,
) -> APIRouter:
    """`to_anyone`: whoever asks need not say who it is, so that no agency is named."""
    routes = APIRouter(tags=["service"])
    health_answer, ready_answer = JsonAnswer(Health), JsonAnswer(Readiness)

    @routes.get("/healthz", summary="Does the process answer?", responses=gives(Health))
    async def get_health() -> Response:
        return health_answer(Health(status="ok"))

    @routes.get("/readyz", summary="Is a region loaded, which, and is all as it should be?", responses=gives(Readiness))
    async def get_readiness() -> Response:
        region = matcher.region
        found = (*matcher.degraded(now=clock()), *conditions.now())
        return ready_answer(
            Readiness(
                status="ready",
                region=region.name,
                region_hash=region.hash,
                epoch=matcher.epoch,
                units=len(matcher.fleet.view().units),
                attribution=region.attribution,
                region_fault=None if watch is None else watch.fault,
                degraded=in_general(found) if to_anyone else found,
            )
        )

    return routes
