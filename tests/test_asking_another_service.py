"""Police ask for an ambulance with a key of their own: they learn its ETA, and no more than it discloses."""

from __future__ import annotations

from dataclasses import replace

import pytest
from doors import Service
from test_services import AMBULANCE, POLICE, car
from towns import NOW, at, matcher_with

from geomatch.aid.agreement_files import read_agreements
from geomatch.aid.agreements import Agreements
from geomatch.quantities import format_time

pytest_plugins = ("test_services",)

DISCLOSES = """
[[agreement]]
id = "ambulances-on-the-police-map"
version = 1
title = "The county's ambulances are shown to the police"
status = "active"
provider_agency = "county-ems.example"
receiver_agency = "pd.example"
mode = "automatic"
authority = "assist_only"
legal_basis = { kind = "mou", citation = "MOU 2025" }
"""
WANTED = {
    "id": "s1", "at": {"lon": AMBULANCE.at.lon, "lat": AMBULANCE.at.lat}, "agency": "pd.example",
    "need": {"service": "ems"},
}  # fmt: skip


@pytest.fixture
def service(matcher, tmp_path) -> Service:
    return Service(matcher, tmp_path)


@pytest.fixture
def police(service) -> str:
    return service.key("pd", agencies=("pd.example",))


def asked(service, key, stop=WANTED, **more):
    body = {"stop": stop, "now": format_time(NOW)} | more
    return service.ask("POST", "/v1/rankings", body, key=key)


def test_police_see_the_eta_of_each_ambulance_and_no_place(service, police):
    told = asked(service, police).json()
    whole = service.matcher.rank(AMBULANCE, now=NOW)
    assert [(c["unit"], c["eta"]["eta_s"]) for c in told["candidates"]] == [
        (c.unit, c.eta.eta_s) for c in whole.candidates
    ]
    for one in told["candidates"]:
        assert (one["place"], one["distance_m"], one["route"]) == (None, None, None)
        assert "place_not_disclosed" in one["notes"]
    assert all(c.place and c.distance_m for c in whole.candidates)


def test_an_ambulance_that_discloses_itself_to_the_police_is_shown_to_them(region, tmp_path):
    """What it discloses to the town's ambulances is another matter: that paper alone shows the police nothing."""
    papers = tmp_path / "more.toml"
    papers.write_text("format = 1\n" + DISCLOSES, encoding="utf-8")
    world = region.under(Agreements((*region.agreements.all, *read_agreements([papers]).all)))
    medics = [
        car("medic-town", 300.0, agency="town-ems.example", service="ems"),
        car("medic-county", 1100.0, agency="county-ems.example", service="ems"),
    ]
    service = Service(matcher_with(world, medics), tmp_path)
    told = asked(service, service.key("pd", agencies=("pd.example",))).json()
    assert {c["unit"]: c["place"] is not None for c in told["candidates"]} == {
        "medic-county": True, "medic-town": False,
    }  # fmt: skip


def test_the_ambulance_service_itself_sees_its_own_and_what_its_papers_disclose(service):
    key = service.key("ems", agencies=("town-ems.example",))
    assert asked(service, key).status == 403, "the stop is the police's"
    told = asked(service, key, WANTED | {"agency": "town-ems.example"}).json()
    assert all(one["place"] for one in told["candidates"])


def test_nobody_asks_in_the_name_of_another_agency_or_of_none(service, police):
    assert asked(service, police, WANTED | {"agency": "other-pd.example"}).status == 403
    assert asked(service, police, WANTED | {"agency": "town-ems.example"}).status == 403
    unnamed = asked(service, police, {name: value for name, value in WANTED.items() if name != "agency"})
    assert unnamed.status == 403
    assert "name one's own" in unnamed.json()["detail"]


def test_an_explanation_tells_of_an_ambulance_that_may_come_and_of_no_other(service, police):
    def explained(unit, stop=WANTED):
        body = {"stop": stop, "unit": unit, "now": format_time(NOW)}
        return service.ask("POST", "/v1/explanations", body, key=police)

    told = explained("medic-county").json()
    assert told["candidate"]["place"] is None
    assert "Main Street" not in told["sentence"]
    service.matcher.set_status("medic-town", availability="not_available", activity="transport", at=NOW)
    hidden, none = explained("medic-town"), explained("nobody")
    assert (hidden.status, none.status) == (404, 404)
    assert hidden.json()["detail"].replace("medic-town", "nobody") == none.json()["detail"]


def test_what_keeps_an_ambulance_is_its_own_affair(service, police):
    service.matcher.set_status("medic-county", availability="not_available", activity="transport", at=NOW)
    told = asked(service, police, include=["excluded"]).json()
    left_out = {one["unit"]: one for one in told["excluded"]}
    assert left_out["medic-county"]["would_be"] is None
    assert "transport" not in str(left_out["medic-county"])
    assert left_out["patrol"]["reason"] == "other_service"


def test_police_keep_a_stop_open_that_needs_an_ambulance_and_assign_it(service, police):
    opened = service.ask("POST", "/v1/stops", {"stop": WANTED}, key=police)
    assert opened.status == 201, opened.text
    ranking = asked(service, police, stop=None, stop_id="s1").json()
    first = ranking["candidates"][0]["unit"]
    body = {"stop_id": "s1", "unit": first, "version": ranking["version"]}
    assert service.ask("POST", "/v1/assignments", body, key=police).status == 201
    again = asked(service, police, stop=None, stop_id="s1").json()
    assert first not in {one["unit"] for one in again["candidates"]}


def test_a_comparison_names_ambulances_by_their_eta(service, police):
    body = {"stop": WANTED, "now": format_time(NOW)}
    told = service.ask("POST", "/v1/comparisons", body, key=police).json()
    whole = service.matcher.compare(AMBULANCE, now=NOW)
    assert told["fastest_that_may_go"]["unit"] == whole.fastest_that_may_go.unit
    assert "place" not in told["fastest_that_may_go"]


def test_for_its_own_service_nothing_is_different(service, police):
    told = asked(service, police, WANTED | {"need": {"service": "police"}}).json()
    assert [(c["unit"], c["place"] is not None) for c in told["candidates"]] == [("patrol", True)]
    elsewhere = replace(POLICE, at=at(-500.0), agency=None)
    stop = {"id": "s2", "at": {"lon": elsewhere.at.lon, "lat": elsewhere.at.lat}}
    answer = asked(service, police, stop)
    assert answer.status in {403, 422}
    assert "candidates" not in answer.text
