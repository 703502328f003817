"""Closing and reopening roads over HTTP."""

# No `from __future__ import annotations` here: FastAPI reads the annotations of functions made inside functions.
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from geomatch.errors import BadInput
from geomatch.feeds import closures as imports
from geomatch.feeds.closure_formats import ClosureFormat, read
from geomatch.model.closures import ClosureResult
from geomatch.quantities import DrivingMode, UnixTime
from geomatch.service.closure_bodies import MAX_CLOSURES, ClosureBatch, ClosureList, ClosureResults
from geomatch.service.feeds import check_media_type
from geomatch.service.openapi import gives, takes, takes_closures
from geomatch.service.settings import Settings
from geomatch.service.wire import JsonAnswer, JsonBody, read_body

if TYPE_CHECKING:
    from geomatch.matcher import Matcher


def router(
    matcher: "Matcher", clock: Callable[[], UnixTime], settings: Settings, changed: Callable[[], None]
) -> APIRouter:
    """`changed` is told after each change, so that whoever watches the open stops looks at once."""
    routes = APIRouter(tags=["closures"])
    results_answer, list_answer = JsonAnswer(ClosureResults), JsonAnswer(ClosureList)
    read_batch = JsonBody(ClosureBatch, settings.max_body_bytes)

    @routes.get("/v1/closures", summary="Every closure held", responses=gives(ClosureList))
    def get_closures() -> Response:
        """With the directed edges each was put on."""
        return list_answer(ClosureList(epoch=matcher.epoch, closures=matcher.closures()))

    @routes.post(
        "/v1/closures",
        summary="Close or slow roads",
        openapi_extra=takes(ClosureBatch),
        responses=gives(ClosureResults, 413, 415, 422),
    )
    def post_closures(batch: Annotated[ClosureBatch, Depends(read_batch)]) -> Response:
        """In force in the very next ranking; each takes the place of one with the same id. A malformed body is refused
        whole; what lies on no road of the map is `unmatched`: it is held and listed, and changes nothing."""
        results = matcher.close_roads(batch.closures, now=clock(), source=batch.source)
        changed()
        return results_answer(ClosureResults(epoch=matcher.epoch, results=results))

    @routes.post(
        "/v1/closures:import",
        summary="Take in a WZDx or Waze CIFS feed",
        openapi_extra=takes_closures(),
        responses=gives(ClosureResults, 413, 415, 422),
    )
    async def post_import(
        request: Request,
        form: Annotated[ClosureFormat | None, Query(alias="format")] = None,
        source: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
        mode: Annotated[list[DrivingMode] | None, Query(max_length=3)] = None,
    ) -> Response:
        """What the feed says now, in place of what it said before, in one step. Items that cannot be read or close no
        road are told and change nothing; a body that is no such feed is refused whole. `mode`: whom its closures hold
        for; without it, everyone."""
        check_media_type(request)
        if source is not None and not source.isprintable():
            raise BadInput("source must be printable characters")
        raw = await read_body(request, settings.max_body_bytes)
        results = await run_in_threadpool(take, raw, form, source, mode)
        changed()
        return results_answer(ClosureResults(epoch=matcher.epoch, results=results))

    def take(
        raw: bytes, form: ClosureFormat | None, source: str | None, modes: list[DrivingMode] | None
    ) -> list[ClosureResult]:
        whose, items = read(raw, form=form, source=source, modes=modes or tuple(DrivingMode))
        if len(items) > MAX_CLOSURES:
            raise BadInput(f"a feed may have {MAX_CLOSURES:,} items at most; send only those of the region")
        return imports.take(matcher, whose, items, now=clock())

    @routes.delete(
        "/v1/closures/{closure_id:path}", status_code=204, summary="Reopen a road", responses=gives(None, 404, 422)
    )
    def delete_closure(closure_id: str) -> Response:
        """In force in the very next ranking."""
        matcher.reopen_roads([closure_id])
        changed()
        return Response(status_code=204)

    return routes
