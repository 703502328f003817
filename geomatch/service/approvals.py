"""Leave to lend a unit, over HTTP: asked for, answered, and how each request stands now."""

# No `from __future__ import annotations` here: FastAPI reads the annotations of functions made inside functions.
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Response

from geomatch.aid.approval import Asked, standing
from geomatch.errors import UnknownAgreement
from geomatch.quantities import UnixTime
from geomatch.service.approval_bodies import ApprovalAnswer, ApprovalList, ApprovalRequest, ApprovalStanding
from geomatch.service.openapi import gives, takes
from geomatch.service.settings import Settings
from geomatch.service.wire import JsonAnswer, JsonBody

if TYPE_CHECKING:
    from geomatch.matcher import Matcher


def router(matcher: "Matcher", clock: Callable[[], UnixTime], settings: Settings) -> APIRouter:
    router = APIRouter(tags=["approvals"])
    standing_answer, list_answer = JsonAnswer(ApprovalStanding), JsonAnswer(ApprovalList)
    read_request = JsonBody(ApprovalRequest, settings.max_body_bytes)
    read_answer = JsonBody(ApprovalAnswer, settings.max_body_bytes)

    def stands(stop: str, agreement: str, asked: Asked, now: UnixTime) -> ApprovalStanding:
        papers = matcher.region.agreements
        if papers is None:
            raise UnknownAgreement("no agreements are loaded: build the region with some")
        paper = papers.named(agreement, now)
        found = standing(paper, asked, now)
        return ApprovalStanding(
            stop=stop, agreement=paper.key, asked_at=asked.asked_at, granted_by=asked.granted_by,
            denied_by=asked.denied_by, missing=found.approvers, decision=found.decision, clause=found.clause,
            wait_s=found.wait_s,
        )  # fmt: skip

    @router.get(
        "/v1/approvals", summary="Who was asked for leave, and how that stands", responses=gives(ApprovalList, 422)
    )
    def get_approvals(stop: Annotated[str | None, Query(description="Only of this stop.")] = None) -> Response:
        """Of stops that are over too, until their id is used again."""
        now, view = clock(), matcher.approvals.view()
        stops = sorted(view) if stop is None else [stop]
        found = []
        for one in stops:
            for agreement, asked in sorted(view.get(one, {}).items()):
                try:
                    found.append(stands(one, agreement, asked, now))
                except UnknownAgreement:
                    continue  # it is not in force any more, or was in another region: it lets nobody go
        return list_answer(ApprovalList(approvals=found))

    @router.post(
        "/v1/approvals",
        summary="Ask for leave to lend a unit",
        openapi_extra=takes(ApprovalRequest),
        responses=gives(ApprovalStanding, 404, 413, 415, 422, status=201),
    )
    def post_approval(ask: Annotated[ApprovalRequest, Depends(read_request)]) -> Response:
        """The agreement's timeout runs from here on. Asking again changes nothing. Assigning a unit that must be asked
        for asks too."""
        asked = matcher.ask_approval(ask.stop, ask.agreement, at=clock() if ask.at is None else ask.at)
        return standing_answer(stands(ask.stop, ask.agreement, asked, clock()), 201)

    @router.post(
        "/v1/approvals/answers",
        summary="Say what an agency answered",
        openapi_extra=takes(ApprovalAnswer),
        responses=gives(ApprovalStanding, 404, 413, 415, 422),
    )
    def post_answer(said: Annotated[ApprovalAnswer, Depends(read_answer)]) -> Response:
        """Rankings count it at once."""
        asked = matcher.answer_approval(
            said.stop, said.agreement, agency=said.agency, answer=said.answer,
            at=clock() if said.at is None else said.at,
        )  # fmt: skip
        return standing_answer(stands(said.stop, said.agreement, asked, clock()))

    return router
