"""Police, fire and ambulances in one engine: a stop is ranked among the units, and under the areas, of its service."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import geopandas
import pytest
import shapely
from towns import NOW, at, fix, main_street, matcher_with

from geomatch import Matcher, Need, Reason, Region, Stop, Unit, UnitState
from geomatch.backup.snapshot import Snapshot
from geomatch.errors import BadInput, UnknownAgency
from geomatch.maps.layers import load_jurisdictions
from geomatch.region import write_region

PAPERS = """
format = 1

[[agreement]]
id = "ambulances"
version = 1
title = "County's ambulances help the town's"
status = "active"
provider_agency = "county-ems.example"
receiver_agency = "town-ems.example"
mode = "automatic"
authority = "assist_only"
legal_basis = { kind = "contract", citation = "EMS contract 2025" }
request_latency_s = { p50 = 40, p90 = 60 }
"""
TOWN, COUNTY = (0.0, 1200.0), (1200.0, 2000.0)
LAYERS = {
    "PolicePolygon": {"pd.example": (0.0, 2000.0), "other-pd.example": (-900.0, 0.0)},
    "EmsPolygon": {"town-ems.example": TOWN, "county-ems.example": COUNTY},
    "PsapPolygon": {"psap-west.example": (-900.0, 1000.0), "psap-east.example": (1000.0, 2000.0)},
}
URNS = {
    "PolicePolygon": "urn:emergency:service:responder.police.local",
    "EmsPolygon": "urn:emergency:service:responder.ems",
    "PsapPolygon": "urn:emergency:service:sos.psap",
}


def layer_file(folder: Path, layer: str) -> Path:
    """NENA polygons, each a strip of the street."""
    rows, shapes = [], []
    for number, (agency, (west, east)) in enumerate(LAYERS[layer].items(), start=1):
        rows.append({
            "DiscrpAgID": "gis.example", "DateUpdate": "2026-01-01T00:00:00Z", "Agency_ID": agency,
            "NGUID": f"urn:emergency:uid:gis:{layer}:{number}:gis.example", "ServiceURI": f"sip:sos@{agency}",
            "ServiceURN": URNS[layer], "AVcard_URI": f"https://{agency}/vcard", "DsplayName": agency,
        })  # fmt: skip
        corners = [at(west, -500.0), at(east, -500.0), at(east, 800.0), at(west, 800.0)]
        shapes.append(shapely.Polygon([(corner.lon, corner.lat) for corner in corners]))
    path = folder / f"{layer}.geojson"
    geopandas.GeoDataFrame(rows, geometry=shapes, crs="EPSG:4326").to_file(path)
    return path


@pytest.fixture(scope="module")
def region(tmp_path_factory) -> Region:
    folder = tmp_path_factory.mktemp("services")
    plain = main_street(folder / "plain.region")
    areas, _ = load_jurisdictions([layer_file(folder, layer) for layer in LAYERS], projection=plain.network.projection)
    (folder / "papers.toml").write_text(PAPERS, encoding="utf-8")
    write_region(
        folder / "main.region", plain.network, name="main street", attribution=plain.attribution, report={},
        jurisdictions=areas, agreements=(folder / "papers.toml",),
    )  # fmt: skip
    return Region.open(folder / "main.region")


def car(name: str, x: float, *, agency: str, service: str = "police", officers: int = 1) -> UnitState:
    return UnitState(unit=Unit(id=name, agency=agency, service=service, officers=officers), fix=fix(name, x))


@pytest.fixture
def matcher(region) -> Matcher:
    return matcher_with(
        region,
        [
            car("patrol", 900.0, agency="pd.example"),
            car("medic-town", 300.0, agency="town-ems.example", service="ems", officers=2),
            car("medic-county", 1100.0, agency="county-ems.example", service="ems", officers=2),
        ],
    )


POLICE = Stop(id="s1", at=at(1000.0), agency="pd.example")
AMBULANCE = replace(POLICE, need=Need(service="ems"))


def test_an_ambulance_is_no_backup_and_a_patrol_car_no_ambulance(matcher):
    backup, medics = matcher.rank(POLICE, now=NOW), matcher.rank(AMBULANCE, now=NOW)
    assert [c.unit for c in backup.candidates] == ["patrol"]
    assert {x.unit: x.reason for x in backup.excluded} == dict.fromkeys(
        ("medic-county", "medic-town"), Reason.other_service
    )
    assert [c.unit for c in medics.candidates] == ["medic-county", "medic-town"]
    assert [(x.unit, x.reason) for x in medics.excluded] == [("patrol", Reason.other_service)]
    assert "of another service" in medics.excluded[0].detail
    for ranking in (backup, medics):
        assert sum(ranking.counts.values()) == 2 * ranking.counts["units"] == 6


def test_an_ambulance_is_ranked_for_the_agency_that_is_responsible_for_ambulances(matcher):
    """The officer names the police agency; the map says whose ambulances they are, and the paper between them holds."""
    ranking = matcher.rank(AMBULANCE, now=NOW)
    assert ranking.resolved.agency == "town-ems.example"
    own = {c.unit: c for c in ranking.candidates}
    assert own["medic-town"].verdict.code == "own_agency"
    assert own["medic-county"].verdict.agreement == "ambulances@1"
    # 10 s of road and 15 to roll; 40 until the county has sent it. Town's own needs 70 s of road.
    assert own["medic-county"].eta.eta_s == 10.0 + 15.0 + 40.0
    assert own["medic-town"].eta.eta_s == 70.0 + 15.0
    at_county = matcher.rank(replace(AMBULANCE, at=at(1500.0)), now=NOW)
    assert at_county.resolved.agency == "county-ems.example"
    assert [c.unit for c in at_county.candidates] == ["medic-county"], "the paper is one way"


def test_an_ems_agency_may_ask_for_itself_outside_its_own_area(matcher):
    ranking = matcher.rank(replace(AMBULANCE, agency="county-ems.example"), now=NOW)
    assert ranking.resolved.agency == "county-ems.example"
    assert "in_service_area_of:town-ems.example" in ranking.resolved.notes
    assert "county-ems.example asks for it, but by the map town-ems.example" in ranking.resolved.responsibility


def test_an_agency_on_no_layer_at_all_is_refused(matcher):
    with pytest.raises(UnknownAgency, match="on no loaded jurisdiction map"):
        matcher.rank(replace(AMBULANCE, agency="mars.example"), now=NOW)
    with pytest.raises(UnknownAgency):
        matcher.register([Unit(id="m", agency="mars.example", service="ems")])


def test_without_a_layer_of_the_service_the_asking_agency_counts_and_that_is_told(matcher):
    engine = matcher.rank(replace(POLICE, need=Need(service="fire")), now=NOW)
    assert engine.resolved.agency == "pd.example"
    assert engine.resolved.notes == ("no_layer",)
    assert engine.resolved.responsibility == "nobody on the map is responsible; no fire layer is loaded"


def test_a_stop_knows_its_psap(matcher):
    for x, psap in ((900.0, "psap-west.example"), (1100.0, "psap-east.example")):
        assert matcher.rank(replace(POLICE, at=at(x)), now=NOW).resolved.psap == psap


def test_a_doubtful_place_is_explained_in_words(matcher):
    """Five metres from the town's border, drawn to ten: and a place in no police area."""
    near = matcher.rank(replace(POLICE, at=at(1195.0), need=Need(service="ems")), now=NOW).resolved
    assert (near.agency, near.notes) == ("town-ems.example", ("boundary_uncertain",))
    assert near.responsibility == (
        "town-ems.example is responsible; a border 5 m away is within the map's accuracy, "
        "so it may be county-ems.example"
    )
    assert matcher.rank(replace(POLICE, at=at(1000.0)), now=NOW).resolved.responsibility is None


def test_services_are_those_there_are():
    with pytest.raises(BadInput, match=r"need.service must be one of police, fire, ems"):
        Need(service="coastguard")
    with pytest.raises(BadInput, match="service must be one of"):
        Unit(id="u", agency="a", service="patrol")


def test_units_in_the_request_have_a_service_too(matcher):
    states = matcher.states()
    sent, held = matcher.rank_units(AMBULANCE, states, now=NOW), matcher.rank(AMBULANCE, now=NOW)
    assert [c.unit for c in sent.candidates] == [c.unit for c in held.candidates]
    assert isinstance(matcher.snapshot(), Snapshot)
