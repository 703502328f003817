"""A town of nine junctions and a fleet of four, for the tests of the service and the command line.

PYTEST_DONT_REWRITE: it asserts nothing, and is imported for its constants before it is loaded as a plugin.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from geomatch.maps.network.expand import expand
from geomatch.maps.osm import read_osm
from geomatch.matcher import Matcher
from geomatch.model import Fix, Status, Unit, UnitState
from geomatch.quantities import LonLat, format_time
from geomatch.region import Region, write_region

WEST, SOUTH, STEP_DEG = -97.750, 30.270, 0.002
NOW = 1_772_921_700.0
"""2026-03-07T22:15:00Z"""
STOP = {"id": "s1", "at": {"lon": WEST + 0.0021, "lat": SOUTH + 0.0005}}
FAR_AWAY = {"lon": 2.35, "lat": 48.85}


def osm_xml() -> str:
    """Three streets by three avenues, about 200 m apart."""
    nodes = "".join(
        f'<node id="{10 * row + column + 1}" version="1" lon="{WEST + column * STEP_DEG:.6f}" '
        f'lat="{SOUTH + row * STEP_DEG:.6f}"/>'
        for row in range(3)
        for column in range(3)
    )
    ways = ""
    for line in range(3):
        for way, name, refs in (
            (100 + line, f"Street {line + 1}", [10 * line + c + 1 for c in range(3)]),
            (200 + line, f"Avenue {line + 1}", [10 * r + line + 1 for r in range(3)]),
        ):
            members = "".join(f'<nd ref="{ref}"/>' for ref in refs)
            tags = f'<tag k="highway" v="residential"/><tag k="name" v="{name}"/><tag k="maxspeed" v="36"/>'
            ways += f'<way id="{way}" version="1">{members}{tags}</way>'
    return f'<?xml version="1.0"?><osm version="0.6" generator="test">{nodes}{ways}</osm>'


def states(now: float = NOW) -> list[UnitState]:
    """Three cars in the town, one of them busy, and one that was never heard of."""
    placed = {"u1": (0.0001, 0.0), "u2": (0.0041, 0.004), "u3": (0.001, 0.002)}
    cars = [
        UnitState(
            unit=Unit(id=unit, agency="hoboken.nj", call_sign=unit.upper(), officers=1),
            fix=Fix(unit=unit, time=now - 5, at=LonLat(WEST + east, SOUTH + north), source="avl"),
            status=Status(availability="not_available" if unit == "u3" else "available", at=now - 60),
        )
        for unit, (east, north) in placed.items()
    ]
    return [*cars, UnitState(unit=Unit(id="u4", agency="weehawken.nj"), status=Status(at=now - 60))]


def as_json(state: UnitState) -> dict:
    """As a CAD would write it, by hand."""
    unit, fix, status = state.unit, state.fix, state.status
    body = {
        "unit": {"id": unit.id, "agency": unit.agency, "call_sign": unit.call_sign, "officers": unit.officers},
        "status": {"availability": status.availability.value, "at": format_time(status.at)},
    }
    if fix is not None:
        body["fix"] = {
            "unit": unit.id, "time": format_time(fix.time), "at": {"lon": fix.at.lon, "lat": fix.at.lat},
            "source": fix.source,
        }  # fmt: skip
    return body


def write_fleet(path: Path, now: float = NOW) -> Path:
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [state.fix.at.lon, state.fix.at.lat]},
            "properties": {
                "id": state.unit.id, "agency": state.unit.agency, "call_sign": state.unit.call_sign,
                "availability": state.status.availability.value, "time": format_time(state.fix.time),
            },
        }
        for state in states(now)
        if state.fix is not None
    ]  # fmt: skip
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def town_osm(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("town") / "town.osm"
    path.write_text(osm_xml(), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def town_folder(town_osm) -> Path:
    source = read_osm(town_osm)
    out = town_osm.with_name("town.region")
    write_region(out, expand(source), name="town", attribution=source.attribution, report={})
    return out


@pytest.fixture(scope="session")
def town(town_folder) -> Region:
    return Region.open(town_folder)


@pytest.fixture
def matcher(town) -> Matcher:
    """Holds the fleet."""
    held = Matcher(town)
    held.replace_fleet(states(), source="test", source_seq=1)
    return held


def write_police(path: Path) -> Path:
    """A PolicePolygon layer: hoboken.nj has the whole town, and no other agency is on the map."""
    import geopandas
    import shapely

    fields = {
        "DiscrpAgID": "gis.county.example", "DateUpdate": "2026-01-01T00:00:00Z", "NGUID": NGUID,
        "Agency_ID": "hoboken.nj", "ServiceURI": "sip:police@hoboken.nj",
        "ServiceURN": "urn:emergency:service:responder.police.local", "AVcard_URI": "https://hoboken.nj/vcard",
        "DsplayName": "Hoboken",
    }  # fmt: skip
    outline = shapely.box(WEST - 0.01, SOUTH - 0.01, WEST + 0.02, SOUTH + 0.02)
    geopandas.GeoDataFrame([fields], geometry=[outline], crs="EPSG:4326").to_file(path)
    return path


NGUID = "urn:emergency:uid:gis:PolicePolygon:{1}:gis.county.example"


@pytest.fixture(scope="session")
def policed_folder(town_osm) -> Path:
    """The town with a jurisdiction map."""
    from geomatch import build

    out = town_osm.with_name("policed.region")
    build(town_osm, out, jurisdictions=write_police(town_osm.with_name("PolicePolygon.geojson")))
    return out
