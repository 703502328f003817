"""Two states and a river: real precincts and towns from the file to the ranking, through a mapping file."""

from __future__ import annotations

from pathlib import Path

import geopandas
import pytest
import shapely

from geomatch import Fix, LonLat, Matcher, Ranking, Region, Stop, Unit, build
from geomatch.aid.jurisdictions import MILE_M
from geomatch.maps.diff import diff
from geomatch.road.network import EdgeFlag

NOW = 1_772_921_700.0
PIER = LonLat(-74.0243, 40.7515)
"""Hudson Street and 13th, Hoboken, two streets from the water."""
UNITS = {
    "hoboken-1": ("hoboken.example", LonLat(-74.0330, 40.7365)),  # by the terminal, at the other end of town
    "jersey-1": ("jerseycity.example", LonLat(-74.0450, 40.7280)),
    "nypd-10": ("nypd.example", LonLat(-74.0075, 40.7480)),  # Eleventh Avenue, straight across the river
    "nypd-1": ("nypd.example", LonLat(-74.0095, 40.7160)),  # downtown
}


@pytest.fixture(scope="module")
def layer(shared_data) -> Path:
    return shared_data / "nyc-nj" / "jurisdictions.geojson"


@pytest.fixture(scope="module")
def region(shared_data, layer, tmp_path_factory) -> Region:
    return build(
        shared_data / "nyc-nj" / "nyc_nj_2019_drive.osm.pbf",
        tmp_path_factory.mktemp("hudson") / "hudson.region",
        jurisdictions=[layer],
        mapping=Path(__file__).with_name("nyc_jurisdictions.toml"),
    )


@pytest.fixture(scope="module")
def matcher(region) -> Matcher:
    matcher = Matcher(region)
    matcher.register([Unit(id=name, agency=agency) for name, (agency, _) in UNITS.items()])
    matcher.update([Fix(unit=name, time=NOW - 5, at=at) for name, (_, at) in UNITS.items()])
    return matcher


@pytest.fixture(scope="module")
def ranking(matcher) -> Ranking:
    return matcher.rank(Stop(id="s", at=PIER), k=4, now=NOW)


def named(layer: Path, at: LonLat) -> set[str]:
    """The oracle: every polygon of the file that holds the point, in degrees."""
    frame = geopandas.read_file(layer)
    return set(frame.name[frame.contains(shapely.Point(at.lon, at.lat))])


def test_the_stop_is_the_towns_and_each_unit_stands_where_the_file_says(region, ranking, layer):
    assert (ranking.resolved.agency, ranking.resolved.notes) == ("hoboken.example", ())
    assert named(layer, PIER) == {"Hoboken city"}
    for agency, at in UNITS.values():
        xy = region.network.projection.xy(at)
        located = region.jurisdictions.locate(xy.x, xy.y, at=NOW)
        (name,) = named(layer, at)
        assert located.agency == agency
        assert [area.display_name for area in located.areas] == [name]
        # Only a department with several precincts has beats.
        assert located.beat == (name if agency == "nypd.example" else None)


def test_a_stop_across_the_river_is_in_a_precinct(matcher, layer):
    at = UNITS["nypd-10"][1]
    resolved = matcher.rank(Stop(id="s", at=at), k=1, now=NOW).resolved
    assert resolved.agency == "nypd.example"
    assert {resolved.beat} == named(layer, at) == {"NYPD Precinct 10"}


def test_the_unit_nearest_by_air_is_across_the_river_and_behind_both_towns_units_by_road(matcher, ranking):
    by_air = [c.unit for c in sorted(ranking.candidates, key=lambda c: c.distance_m)]
    by_road = [c.unit for c in ranking.candidates]
    assert by_air[0] == "nypd-10"
    assert by_road[:2] == ["hoboken-1", "jersey-1"]
    first, across = ranking.candidates[0], next(c for c in ranking.candidates if c.unit == "nypd-10")
    assert across.distance_m < 1_600
    assert across.eta.eta_s > first.eta.eta_s + 120
    assert matcher.route(ranking.stop, "nypd-10", now=NOW).road_m > 3 * across.distance_m


def test_the_way_across_is_through_a_tunnel(region, matcher, ranking):
    route = matcher.route(ranking.stop, "nypd-10", now=NOW)
    tunnels = [leg for leg in route.legs if region.network.edge_flags[leg.edge] & EdgeFlag.tunnel]
    assert sum(leg.length_m for leg in tunnels) > 2_000  # the Lincoln Tunnel's tubes are 2.3 to 2.5 km
    assert {leg.road for leg in tunnels if leg.length_m > 500} <= {"Lincoln Tunnel", "Holland Tunnel"}


def test_the_powers_of_the_mapping_file_are_in_the_region(region):
    assert region.jurisdictions.authority["hoboken.example"].buffer_m == MILE_M
    (report,) = region.report["jurisdictions"]["layers"]
    assert report["kinds"] == {"police": 63}


def test_the_same_map_without_its_areas_differs_by_its_areas_alone(region, opened):
    plain = opened("nyc-nj")
    found = diff(plain, region, at=NOW)
    assert found.roads.same
    assert len(found.areas.areas) == 63
    assert found.areas.agencies_removed == ()
    assert {"hoboken.example", "jerseycity.example", "nypd.example"} <= set(found.areas.agencies_added)
    whole = shapely.union_all([area.geometry for area in region.jurisdictions.areas]).area
    assert sum(one.m2 for one in found.areas.transfers) == pytest.approx(whole, rel=1e-4)
