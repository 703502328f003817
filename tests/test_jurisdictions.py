"""Who is responsible where: facts of the field, checked against looking at every polygon in turn."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely import Point, box

from geomatch.aid.jurisdictions import MILE_M, AreaRule, Jurisdictions, Note, ServiceArea, ServiceKind, kind_of_urn
from geomatch.aid.services import specificity
from geomatch.errors import BadMap, BadRegion, UnknownAgency

POLICE = "urn:emergency:service:responder.police"
AT = 1_700_000_000.0


def area(agency, shape, word="local", **other):
    return ServiceArea(
        **{"agency": agency, "kind": ServiceKind.police, "geometry": shape, "urn": f"{POLICE}.{word}"} | other
    )


def test_the_most_specific_service_is_responsible_and_all_that_hold_the_place_are_named():
    whole = box(0, 0, 10_000, 10_000)
    areas = [
        area("fbi.gov", whole, "federal.fbi"),
        area("state.us", whole, "stateProvincial"),
        area("sheriff.county.us", whole, "sheriff"),
        area("city.us", box(2_000, 2_000, 8_000, 8_000), "local"),
        area("college.edu", box(4_000, 4_000, 5_000, 5_000), "campus"),
        area("guards.com", whole, "private"),
    ]
    layer = Jurisdictions(areas)
    assert layer.locate(4_500, 4_500, at=AT).agency == "college.edu"
    assert layer.locate(3_000, 3_000, at=AT).agency == "city.us"
    at_the_edge = layer.locate(500, 500, at=AT)
    assert [held.agency for held in at_the_edge.areas] == ["sheriff.county.us", "state.us", "fbi.gov", "guards.com"]
    assert at_the_edge.notes == ()  # a sheriff over a city is no overlap: only one service over itself is


def test_a_place_in_a_gap_belongs_to_nobody_and_the_nearest_agency_is_named():
    layer = Jurisdictions([area("west.us", box(0, 0, 100, 100)), area("east.us", box(130, 0, 230, 100))])
    found = layer.locate(110, 50, at=AT)
    assert (found.agency, found.notes, found.other_agency) == (None, (Note.in_gap,), "west.us")
    assert found.border_m == pytest.approx(10)
    assert "west.us" in found.sentence
    assert "gap" in found.sentence


def test_an_overlap_of_one_service_is_told_and_the_smaller_agency_answers():
    layer = Jurisdictions([area("big.us", box(0, 0, 200, 100)), area("small.us", box(150, 0, 250, 100))])
    found = layer.locate(175, 50, at=AT)
    assert found.agency == "small.us"
    assert Note.overlapping in found.notes
    swapped = Jurisdictions(tuple(reversed(layer.areas)))
    assert swapped.locate(175, 50, at=AT).agency == "small.us"


def test_size_is_what_the_agency_has_in_force_not_the_polygon():
    areas = [
        area("many.us", box(0, 0, 60, 100), display_name="1"),
        area("many.us", box(60, 0, 500, 100), display_name="2"),
        area("one.us", box(0, 0, 100, 100)),
        area("one.us", box(0, 0, 9_000, 9_000), expire=AT),
    ]
    assert Jurisdictions(areas).locate(30, 50, at=AT).agency == "one.us"
    assert Jurisdictions(areas).locate(30, 50, at=AT - 1).agency == "many.us"


def test_polygons_of_one_agency_with_other_names_are_beats():
    areas = [area("city.us", box(i * 100, 0, i * 100 + 100, 100), display_name=f"Beat {i}") for i in range(3)]
    areas.append(area("town.us", box(300, 0, 400, 100), display_name="Town police"))
    layer = Jurisdictions([shift_accuracy(one, 5.0) for one in areas])
    assert layer.locate(150, 50, at=AT).beat == "Beat 1"
    assert layer.locate(350, 50, at=AT).beat is None  # one name is the agency's, no beat
    between_beats = layer.locate(198, 50, at=AT)
    assert (between_beats.agency, between_beats.notes) == ("city.us", (Note.beat_uncertain,))
    between_agencies = layer.locate(298, 50, at=AT)
    assert between_agencies.notes == (Note.boundary_uncertain,)
    assert between_agencies.other_agency == "town.us"
    assert between_agencies.border_m == pytest.approx(2)


def shift_accuracy(one, accuracy_m):
    return area(one.agency, one.geometry, display_name=one.display_name, accuracy_m=accuracy_m)


def test_a_small_area_inside_a_large_one_makes_its_surroundings_uncertain():
    """A campus near the middle of a city: the city's own border is far, the campus's is not."""
    layer = Jurisdictions(
        [
            area("city.us", box(0, 0, 1_000, 1_000), accuracy_m=10.0),
            area("college.edu", box(510, 450, 600, 550), "campus", accuracy_m=10.0),
        ]
    )
    assert layer.locate(505, 500, at=AT).notes == (Note.boundary_uncertain,)
    assert layer.locate(505, 500, at=AT).other_agency == "college.edu"
    assert layer.locate(495, 500, at=AT).notes == ()
    assert layer.locate(515, 500, at=AT).notes == (Note.boundary_uncertain,)


def test_a_hole_is_not_held_and_parts_are():
    ring = shapely.difference(box(0, 0, 100, 100), box(40, 40, 60, 60))
    layer = Jurisdictions([area("ring.us", shapely.union(ring, box(500, 500, 600, 600)))])
    assert layer.locate(50, 50, at=AT).agency is None
    assert layer.locate(10, 10, at=AT).agency == "ring.us"
    assert layer.locate(550, 550, at=AT).agency == "ring.us"


def test_dates_count_when_asked():
    layer = Jurisdictions(
        [area("old.us", box(0, 0, 100, 100), expire=AT), area("new.us", box(0, 0, 100, 100), effective=AT)]
    )
    assert layer.locate(50, 50, at=AT - 0.001).agency == "old.us"
    assert layer.locate(50, 50, at=AT).agency == "new.us"
    assert layer.service_area("old.us", at=AT).is_empty
    assert layer.distance_to_border("old.us", 50, 50, at=AT) == math.inf
    rows, areas = layer.locate_many(np.array([50.0, 500.0]), np.array([50.0, 50.0]), at=AT)
    assert [areas[row].agency if row >= 0 else None for row in rows] == ["new.us", None]


def test_kinds_answer_on_their_own():
    psap = ServiceArea(agency="911.us", kind=ServiceKind.psap, geometry=box(0, 0, 9, 9), urn="urn:service:sos")
    layer = Jurisdictions([area("city.us", box(0, 0, 5, 5)), psap])
    assert layer.locate(3, 3, at=AT, kind=ServiceKind.psap).agency == "911.us"
    assert layer.locate(8, 8, at=AT).notes == (Note.in_gap,)
    assert layer.locate(3, 3, at=AT, kind=ServiceKind.fire).notes == (Note.no_layer,)
    assert layer.agencies() == ("city.us",)


@pytest.mark.parametrize(
    ("urn", "kind", "rank"),
    [
        (f"{POLICE}", "police", 1),
        (f"{POLICE}.federal.rcmp", "police", 4),
        ("urn:emergency:service:responder.federal.fbi", "police", 4),
        ("urn:nena:service:responder.police", "police", 1),
        (f"{POLICE}.countyParish", "police", 2),
        ("urn:emergency:service:responder.fire.airport", "fire", 0),
        ("urn:service:sos.ambulance", "ems", 1),
        ("urn:service:sos.police", "police", 1),
        ("urn:emergency:service:sos.psap", "psap", 1),
        ("urn:emergency:service:responder.coast_guard", None, 1),
        ("police", None, 1),
    ],
)
def test_urns_of_every_edition_have_a_kind_and_a_rank(urn, kind, rank):
    assert kind_of_urn(urn) == kind
    assert specificity(urn) == rank


def test_powers_reach_a_mile_past_the_limits_in_metres_and_along_corridors():
    freeway = box(-50_000, 480, 50_000, 520)
    rules = {"city.us": AreaRule(buffer_m=MILE_M, corridors=(freeway,))}
    layer = Jurisdictions([area("city.us", box(0, 0, 1_000, 1_000)), area("town.us", box(9e4, 0, 9.1e4, 10))], rules)
    assert layer.has_authority("city.us", 500, 1_000 + MILE_M - 0.5, at=AT)
    assert not layer.has_authority("city.us", 500, 1_000 + MILE_M + 0.5, at=AT)
    assert layer.has_authority("city.us", 40_000, 500, at=AT)
    assert not layer.has_authority("town.us", 9.2e4, 5, at=AT)
    drawn = layer.authority_area("city.us", at=AT)
    assert drawn.contains(Point(40_000, 500))
    assert drawn.contains(Point(-MILE_M + 1, 900))
    assert layer.service_area("city.us", at=AT).area == 1e6
    assert layer.distance_to_border("city.us", 500, 1_100, at=AT) == pytest.approx(100)
    assert layer.distance_to_border("city.us", 500, 900, at=AT) == pytest.approx(100)
    assert layer.distance_to_area("city.us", 500, 900, at=AT) == 0


def test_borders_between_beats_are_no_borders_of_the_agency():
    areas = [area("city.us", box(i * 100, 0, i * 100 + 100, 100), display_name=str(i)) for i in range(4)]
    assert Jurisdictions(areas).distance_to_border("city.us", 200, 40, at=AT) == pytest.approx(40)


def test_unknown_agencies_and_broken_areas_are_refused_by_name():
    with pytest.raises(UnknownAgency, match=r"nowhere\.us"):
        Jurisdictions([area("city.us", box(0, 0, 1, 1))]).service_area("nowhere.us", at=AT)
    with pytest.raises(BadMap, match=r"nowhere\.us"):
        Jurisdictions([area("city.us", box(0, 0, 1, 1))], {"nowhere.us": AreaRule(buffer_m=1.0)})
    for ring in ([(0, 0), (10, 10), (10, 0), (0, 10)], [(0, 0), (1, math.inf), (1, 1)]):
        broken = area("city.us", shapely.Polygon(ring), display_name="Bow-tie")
        with pytest.raises(BadMap, match="Bow-tie"):
            Jurisdictions([broken])
    for shape in (shapely.Polygon(), Point(1, 2)):
        with pytest.raises(BadMap, match=r"city\.us"):
            area("city.us", shape)


WORDS = ["local", "campus", "sheriff", "stateProvincial"]


@st.composite
def layers(draw):
    """A few overlapping boxes on a coarse grid, so that borders often coincide."""
    span = st.integers(0, 6)
    areas = []
    for i in range(draw(st.integers(1, 7))):
        x, y, width, height = draw(span), draw(span), draw(st.integers(1, 4)), draw(st.integers(1, 4))
        shape = box(x * 10, y * 10, (x + width) * 10, (y + height) * 10)
        dates = draw(st.sampled_from([(None, None), (None, AT), (AT, None), (None, AT + 5)]))
        one = area(
            f"{draw(st.sampled_from('abc'))}.us",
            shape,
            draw(st.sampled_from(WORDS)),
            nguid=str(i),
            effective=dates[0],
            expire=dates[1],
            accuracy_m=draw(st.sampled_from([2.0, 3.0])),
        )
        areas.append(one)
    return areas


@given(layers(), st.floats(-5, 105), st.floats(-5, 105))
def test_the_index_agrees_with_looking_at_every_polygon(areas, x, y):
    point = Point(x, y)
    held = [one for one in areas if one.in_force(AT) and one.geometry.intersects(point)]

    def size(agency):
        return sum(one.geometry.area for one in areas if one.agency == agency and one.in_force(AT))

    held.sort(key=lambda one: (specificity(one.urn), size(one.agency), one.agency, one.geometry.area, one.nguid))
    layer = Jurisdictions(areas)
    found = layer.locate(x, y, at=AT)
    assert found.agency == (held[0].agency if held else None)
    assert {one.nguid for one in found.areas} == {one.nguid for one in held}
    (row,), known = layer.locate_many(np.array([x]), np.array([y]), at=AT)
    assert (known[row].nguid if row >= 0 else None) == (held[0].nguid if held else None)
    if len(held) == 1 and found.notes == ():  # silence is a promise: no border is within any accuracy
        assert held[0].geometry.boundary.distance(point) > held[0].accuracy_m


@given(layers(), st.floats(0, 100), st.floats(0, 100), st.floats(0, 2 * math.pi), st.floats(0, 0.99))
def test_without_a_note_no_border_off_by_its_accuracy_changes_the_agency(areas, x, y, angle, part):
    """Moving the place by less than the accuracy is moving the border the other way."""
    layer = Jurisdictions(areas)
    found = layer.locate(x, y, at=AT)
    if found.agency is None or Note.boundary_uncertain in found.notes:
        return
    reach_m = part * min(one.accuracy_m for one in areas)
    moved = layer.locate(x + reach_m * math.cos(angle), y + reach_m * math.sin(angle), at=AT)
    assert moved.agency == found.agency


def test_a_folder_gives_back_the_same_areas_and_the_same_bytes(tmp_path):
    rules = {"a.us": AreaRule(buffer_m=12.5, corridors=(box(0, 0, 1, 1), box(5, 5, 6, 6)))}
    areas = [
        area("a.us", box(0, 0, 9, 9), display_name="Żabbar", effective=1.5, accuracy_m=3.0),
        area("b.us", box(9, 0, 12, 9)),
    ]
    first, second = tmp_path / "one", tmp_path / "two"
    for folder in (first, second):
        folder.mkdir()
        names = Jurisdictions(areas, rules).to_files(folder)
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)
    back = Jurisdictions.from_files(first)
    assert back.areas == tuple(areas)
    assert back.authority == rules


@pytest.mark.parametrize("fault", ["missing", "short", "version", "kind", "text"])
def test_a_damaged_folder_is_refused(tmp_path, fault):
    Jurisdictions([area("a.us", box(0, 0, 9, 9))]).to_files(tmp_path)
    text, wkb = tmp_path / "jurisdictions.json", tmp_path / "jurisdictions.wkb.npy"
    if fault == "missing":
        wkb.unlink()
    elif fault == "short":
        wkb.write_bytes(wkb.read_bytes()[:-20])
    elif fault == "text":
        text.write_text("{")
    else:
        said = json.loads(text.read_text())
        said["version" if fault == "version" else "areas"] = 99 if fault == "version" else [{"kind": "navy"}]
        text.write_text(json.dumps(said))
    with pytest.raises(BadRegion, match="build the region again"):
        Jurisdictions.from_files(tmp_path)


def test_jurisdictions_load_no_map_library():
    code = (
        "import sys, geomatch.aid.jurisdictions; print({'pandas', 'geopandas', 'pyogrio', 'pyproj'} & {*sys.modules})"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"
