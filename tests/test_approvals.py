"""Leave to go: asked for, granted, denied, timed out; each moves the verdict and the ETA of who must be asked for."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from towns import NOW, at, fix, main_street, matcher_with, unit

from geomatch import Matcher, Reason, Region, Stop, UnitState
from geomatch.aid.approvals import MOST_STOPS, Answer, Approvals
from geomatch.errors import BadInput, MayNotGo, UnknownAgreement

PAPER = """
[[agreement]]
id = "{name}"
version = 1
title = "{name}"
status = "active"
provider_agency = "{name}.example"
receiver_agency = "town.example"
mode = "on_request"
authority = "full"
legal_basis = {{ kind = "mou", citation = "MOU 13" }}
request_latency_s = {{ p50 = 20, p90 = 30 }}
[agreement.approval]
needed = "{needed}"
timeout_s = 240
on_timeout = "{then}"
escalate_to = "sheriff"
wait_s = {{ p50 = 60, p90 = 120 }}
"""
AT_ONCE = """
[[agreement]]
id = "at-once"
version = 1
title = "at once"
status = "active"
provider_agency = "east.example"
receiver_agency = "town.example"
mode = "automatic"
authority = "full"
legal_basis = { kind = "mou", citation = "MOU 14" }
"""


@pytest.fixture(scope="module")
def region(tmp_path_factory) -> Region:
    folder: Path = tmp_path_factory.mktemp("approvals")
    papers = [
        PAPER.format(name=name, needed=needed, then=then)
        for name, needed, then in (
            ("denies", "provider", "deny"), ("allows", "provider", "allow"), ("both", "both", "escalate")
        )
    ]  # fmt: skip
    (folder / "papers.toml").write_text("format = 1\n" + "".join(papers) + AT_ONCE, encoding="utf-8")
    return main_street(folder / "main.region", agreements=(folder / "papers.toml",))


@pytest.fixture
def matcher(region) -> Matcher:
    places = {"denies": 900.0, "allows": 800.0, "both": 700.0, "east": 600.0}
    held = matcher_with(region, [UnitState(unit=unit(name, agency=f"{name}.example")) for name in places])
    # Newer than NOW, so that none is stale four minutes later.
    held.update([fix(name, x, age_s=-200.0) for name, x in places.items()])
    return held


STOP = Stop(id="s1", at=at(1000.0), agency="town.example")


def standing(matcher: Matcher, name: str, after_s: float) -> tuple[str, float | None]:
    """Decision and request time of a unit so long after NOW; None: it is excluded."""
    ranking = matcher.rank(STOP, now=NOW + after_s)
    for one in ranking.candidates:
        if one.unit == name:
            return one.verdict.decision, one.eta.request_s
    (left_out,) = [one for one in ranking.excluded if one.unit == name]
    return left_out.reason, None


def test_a_request_that_is_granted_lets_the_unit_go_at_once(matcher):
    assert standing(matcher, "denies", 0) == ("needs_approval", 80.0)
    matcher.ask_approval("s1", "denies@1", at=NOW)
    # Latency that has passed counts; the wait for an answer does not shrink by having waited.
    assert standing(matcher, "denies", 10) == ("needs_approval", 70.0)
    assert standing(matcher, "denies", 100) == ("needs_approval", 60.0)
    matcher.answer_approval("s1", "denies@1", agency="denies.example", answer="granted", at=NOW + 100)
    assert standing(matcher, "denies", 100) == ("eligible", 0.0)
    assert matcher.rank(STOP, now=NOW + 100).candidates[0].unit == "denies"


def test_a_denial_excludes_with_the_clause_and_another_answer_undoes_it(matcher):
    matcher.answer_approval("s1", "denies", agency="denies.example", answer=Answer.denied, at=NOW)
    assert standing(matcher, "denies", 1) == (Reason.approval_denied, None)
    (left_out,) = [one for one in matcher.rank(STOP, now=NOW + 1).excluded if one.unit == "denies"]
    assert (left_out.verdict.agreement, left_out.verdict.clause) == ("denies@1", "approval.needed")
    assert "another answer" in left_out.verdict.what_would_change
    matcher.answer_approval("s1", "denies", agency="denies.example", answer="granted", at=NOW + 2)
    assert standing(matcher, "denies", 2)[0] == "eligible"


def test_timeouts_move_verdicts_as_the_rankings_now_advances_and_nothing_is_told(matcher):
    for name in ("denies", "allows", "both"):
        matcher.ask_approval("s1", name, at=NOW)
    before = {name: standing(matcher, name, 239.9)[0] for name in ("denies", "allows", "both")}
    after = {name: standing(matcher, name, 240.0)[0] for name in ("denies", "allows", "both")}
    assert set(before.values()) == {"needs_approval"}
    assert after == {"denies": Reason.approval_denied, "allows": "eligible_notify", "both": "needs_approval"}
    # The wait for an answer is bounded by what is left until the timeout.
    assert standing(matcher, "denies", 230)[1] == 10.0


def test_where_both_must_agree_one_is_not_enough(matcher):
    matcher.answer_approval("s1", "both", agency="town.example", answer="granted", at=NOW)
    assert standing(matcher, "both", 1)[0] == "needs_approval"
    (one,) = [c for c in matcher.rank(STOP, now=NOW + 1).candidates if c.unit == "both"]
    assert "needs the approval of both.example," in one.verdict.what_would_change
    matcher.answer_approval("s1", "both", agency="both.example", answer="granted", at=NOW + 1)
    assert standing(matcher, "both", 1)[0] == "eligible"


def test_leave_for_one_stop_is_none_for_another_nor_for_the_next_of_its_id(matcher):
    matcher.answer_approval("s2", "denies", agency="denies.example", answer="granted", at=NOW)
    assert standing(matcher, "denies", 0)[0] == "needs_approval"
    matcher.answer_approval("s1", "denies", agency="denies.example", answer="granted", at=NOW)
    matcher.open_stop(STOP, at=NOW)
    assert standing(matcher, "denies", 0)[0] == "needs_approval"
    matcher.answer_approval("s1", "denies", agency="denies.example", answer="granted", at=NOW)
    matcher.open_stop(STOP, at=NOW)  # the same again changes nothing
    assert standing(matcher, "denies", 0)[0] == "eligible"


def test_what_was_asked_and_answered_outlives_a_restart(matcher, region):
    matcher.ask_approval("s1", "both", at=NOW)
    matcher.answer_approval("s1", "denies", agency="denies.example", answer="granted", at=NOW)
    again = Matcher(region, memory=matcher.memory())
    assert standing(again, "denies", 1) == ("eligible", 19.0)
    assert again.approvals.view() == matcher.approvals.view()


def test_a_comparison_counts_what_was_granted(matcher):
    assert matcher.compare(STOP, now=NOW).fastest_without_approval.unit == "east"
    matcher.answer_approval("s1", "denies", agency="denies.example", answer="granted", at=NOW)
    assert matcher.compare(STOP, now=NOW).fastest_without_approval.unit == "denies"


def test_assigning_a_unit_that_must_be_asked_for_asks_and_one_that_was_denied_may_not_go(matcher):
    matcher.open_stop(STOP, at=NOW)
    version = matcher.rank(STOP, now=NOW).version
    matcher.assign("s1", "denies", version=version, at=NOW)
    assert matcher.approvals.of("s1")["denies"].asked_at == NOW
    matcher.answer_approval("s1", "allows", agency="allows.example", answer="denied", at=NOW)
    with pytest.raises(MayNotGo, match="approval denied"):
        matcher.assign("s1", "allows", version=matcher.rank(STOP, now=NOW).version, at=NOW)


def test_who_cannot_be_asked_is_told_so(matcher):
    with pytest.raises(UnknownAgreement, match="'nothing'"):
        matcher.ask_approval("s1", "nothing", at=NOW)
    with pytest.raises(BadInput, match="at-once@1 needs nobody's approval"):
        matcher.ask_approval("s1", "at-once", at=NOW)
    with pytest.raises(BadInput, match=r"takes the approval of denies\.example, not 'town\.example'"):
        matcher.answer_approval("s1", "denies", agency="town.example", answer="granted", at=NOW)
    with pytest.raises(BadInput, match="granted or denied"):
        matcher.answer_approval("s1", "denies", agency="denies.example", answer="maybe", at=NOW)
    assert matcher.approvals.view() == {}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["both.example", "town.example"]),
                          st.sampled_from([None, *Answer])), max_size=12))  # fmt: skip
def test_the_last_answer_of_each_agency_counts(region, steps):
    """Against a plain list of what was said."""
    both = region.agreements.named("both", NOW)
    held = Approvals()
    said: dict[str, dict[str, Answer]] = {}
    first: dict[str, float] = {}
    for time, (stop, agency, answer) in enumerate(steps, start=int(NOW)):
        first.setdefault(stop, time)
        if answer is None:
            held.ask(stop, both, at=time)
        else:
            held.answer(stop, both, agency=agency, answer=answer, at=time)
            said.setdefault(stop, {})[agency] = answer
    assert set(held.view()) == set(first)
    for stop, asked_at in first.items():
        asked = held.of(stop)["both"]
        assert asked.asked_at == asked_at
        answers = dict.fromkeys(asked.granted_by, Answer.granted) | dict.fromkeys(asked.denied_by, Answer.denied)
        assert answers == said.get(stop, {})


def test_answers_that_come_at_once_are_all_kept_and_a_view_does_not_change(region):
    both = region.agreements.named("both", NOW)
    held = Approvals()
    before = held.view()

    def answer(n: int) -> None:
        for stop in range(50):
            agency = ("both.example", "town.example")[n]
            held.answer(f"s{stop}", both, agency=agency, answer=Answer.granted, at=NOW)

    threads = [threading.Thread(target=answer, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert before == {}
    assert {len(held.of(f"s{stop}")["both"].granted_by) for stop in range(50)} == {2}


def test_requests_of_stops_that_nobody_closes_do_not_pile_up(region):
    paper = region.agreements.named("denies", NOW)
    held = Approvals({f"s{n}": {} for n in range(MOST_STOPS)})
    held.ask("new", paper, at=NOW)
    assert len(held.view()) == MOST_STOPS
    assert "s0" not in held.view()
    assert held.of("new")


# Over HTTP


@pytest.fixture
def client(matcher):
    from fastapi.testclient import TestClient

    from geomatch.service.app import create_app

    clock = [NOW]
    client = TestClient(create_app(matcher, clock=lambda: clock[0]))
    client.clock = clock
    return client


def post(client, path: str, status: int = 200, **body) -> dict:
    answer = client.post(f"/v1/approvals{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def ranked(client) -> dict[str, str]:
    place = {"lon": STOP.at.lon, "lat": STOP.at.lat}
    body = {"stop": {"id": "s1", "at": place, "agency": "town.example"}, "include": ["excluded"]}
    ranking = client.post("/v1/rankings", json=body).json()
    candidates = {one["unit"]: one["verdict"]["decision"] for one in ranking["candidates"]}
    return candidates | {one["unit"]: one["reason"] for one in ranking["excluded"]}


def test_a_request_is_made_answered_and_listed_over_http(client):
    asked = post(client, "", 201, stop="s1", agreement="both@1")
    assert (asked["decision"], asked["missing"], asked["wait_s"]) == (
        "needs_approval", ["both.example", "town.example"], 80.0
    )  # fmt: skip
    post(client, "/answers", stop="s1", agreement="both", agency="town.example", answer="granted")
    post(client, "/answers", stop="s1", agreement="denies", agency="denies.example", answer="denied")
    listed = client.get("/v1/approvals", params={"stop": "s1"}).json()["approvals"]
    assert [(one["agreement"], one["missing"], one["decision"]) for one in listed] == [
        ("both@1", ["both.example"], "needs_approval"), ("denies@1", [], "ineligible")
    ]  # fmt: skip
    assert ranked(client)["denies"] == "approval_denied"
    assert client.get("/v1/approvals", params={"stop": "other"}).json() == {"approvals": []}


def test_over_http_too_a_timeout_needs_nobody_to_tell_of_it(client):
    post(client, "", 201, stop="s1", agreement="allows")
    post(client, "", 201, stop="s1", agreement="denies")
    assert ranked(client)["allows"] == ranked(client)["denies"] == "needs_approval"
    client.clock[0] = NOW + 240
    assert (ranked(client)["allows"], ranked(client)["denies"]) == ("eligible_notify", "approval_denied")
    listed = client.get("/v1/approvals").json()["approvals"]
    assert [one["clause"] for one in listed] == ["approval.on_timeout"] * 2


def test_what_cannot_be_asked_is_a_problem(client):
    assert post(client, "", 404, stop="s1", agreement="x")["type"].endswith(":unknown_agreement")
    assert "nobody's approval" in post(client, "", 422, stop="s1", agreement="at-once")["detail"]
    wrong = {"stop": "s1", "agreement": "denies", "agency": "town.example", "answer": "granted"}
    assert "denies.example" in post(client, "/answers", 422, **wrong)["detail"]
    assert post(client, "/answers", 422, **wrong | {"answer": "yes"})["errors"][0]["location"] == "answer"
    assert client.get("/v1/approvals").json() == {"approvals": []}
