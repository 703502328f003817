"""A fleet file says what the model says, and every fault in one is named with its feature."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomatch.errors import BadInput
from geomatch.fleet.files import FIX, PROPERTIES, STATUS, UNIT, read_fleet
from geomatch.model import Availability, Fix, Status, Unit, UnitState
from geomatch.quantities import LonLat, format_time


def feature(**properties) -> dict:
    told = {"id": "u1", "agency": "hoboken.nj", "time": "2026-03-07T22:15:00Z"} | properties
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [-74.03, 40.74]},
        "properties": {key: value for key, value in told.items() if value is not ...},
    }


def collection(*features: dict, **members) -> dict:
    return {"type": "FeatureCollection", "features": list(features), **members}


def read(folder, document) -> list[UnitState]:
    file = folder / "units.geojson"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return read_fleet(file)


def test_a_feature_is_a_unit_with_its_fix_and_status(tmp_path):
    full = feature(
        call_sign="2A14", kind="k9", officers=2, capabilities=["k9", "taser"], home_beat="3", radio="TAC 2",
        availability="conditionally_available", activity="post", time="2026-03-07T17:15:00-05:00", course_deg=15,
        speed_mps=8.5, accuracy_m=4, source="avl", source_seq=7, simulated=True,
    )  # fmt: skip
    bare = feature(id="u2", home_beat=None)
    assert read(tmp_path, collection(full, bare)) == [
        UnitState(
            unit=Unit(
                id="u1", agency="hoboken.nj", call_sign="2A14", kind="k9", officers=2, capabilities=("k9", "taser"),
                home_beat="3", radio="TAC 2",
            ),
            fix=Fix(
                unit="u1", time=1772921700.0, at=LonLat(lon=-74.03, lat=40.74), course_deg=15.0, speed_mps=8.5,
                accuracy_m=4.0, source="avl", source_seq=7,
            ),
            status=Status(availability=Availability.conditionally_available, activity="post"),
        ),
        UnitState(
            unit=Unit(id="u2", agency="hoboken.nj"),
            fix=Fix(unit="u2", time=1772921700.0, at=LonLat(lon=-74.03, lat=40.74)),
        ),
    ]  # fmt: skip


def test_every_field_of_the_model_has_a_property_but_those_geojson_says_itself():
    fields = set(Unit.__dataclass_fields__) | set(Fix.__dataclass_fields__) | set(Status.__dataclass_fields__)
    assert set(PROPERTIES) == fields - {"__pydantic_config__", "unit", "at"}
    assert len(PROPERTIES) == len(UNIT) + len(FIX) + len(STATUS)


words = st.text("abc é9", min_size=1, max_size=5)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "id": words, "agency": words, "officers": st.integers(0, 9),
                "capabilities": st.lists(words, max_size=3), "time": st.integers(0, 2**31).map(float),
                "availability": st.sampled_from([a.value for a in Availability]), "activity": words,
            },
            optional={"call_sign": words, "course_deg": st.floats(0, 360), "speed_mps": st.floats(0, 150)},
        ),
        unique_by=lambda told: told["id"], max_size=4,
    ),
    st.floats(-180, 180), st.floats(-90, 90),
)  # fmt: skip
def test_what_is_written_is_read(tmp_path_factory, told, lon, lat):
    features = []
    for properties in told:
        one = feature(**properties)
        one["properties"]["time"] = format_time(properties["time"])
        one["geometry"]["coordinates"] = [lon, lat, 12.0]
        features.append(one)
    states = read(tmp_path_factory.mktemp("fleet"), collection(*features))
    assert [state.unit.id for state in states] == [properties["id"] for properties in told]
    for state, properties in zip(states, told, strict=True):
        assert state.fix.at == LonLat(lon=lon, lat=lat)
        for key, value in properties.items():
            part = state.unit if key in UNIT else state.fix if key in FIX else state.status
            assert getattr(part, key) == (tuple(value) if key == "capabilities" else value)


def test_a_unit_without_a_position_is_a_unit_without_a_fix(tmp_path):
    nowhere = {**feature(time=...), "geometry": None}
    assert read(tmp_path, collection(nowhere))[0].fix is None


def test_the_id_may_be_the_features_own(tmp_path):
    own = {**feature(id=...), "id": 1402}
    assert read(tmp_path, collection(own))[0].unit.id == "1402"


@pytest.mark.parametrize("name", ["urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84"])
def test_a_crs_that_says_what_geojson_is_anyway_is_fine(tmp_path, name):
    crs = {"type": "name", "properties": {"name": name}}
    assert len(read(tmp_path, collection(feature(), crs=crs, name="units"))) == 1


def geometry(**changed) -> dict:
    out = copy.deepcopy(feature())
    out["geometry"] = {**out["geometry"], **changed}
    return out


WEB_MERCATOR = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("id,lon,lat\nu1,-74,40", "is not JSON: .* line 1"),
        ("", "is not JSON"),
        ("[" * 100_000, "nested too deep|is not JSON"),
        ('{"type": "FeatureCollection", "type": "Feature"}', "'type' twice"),
        ([feature()], "no GeoJSON FeatureCollection"),
        (feature(), "no GeoJSON FeatureCollection"),
        ({"type": "FeatureCollection"}, 'no list of "features"'),
        (collection(feature(), crs=WEB_MERCATOR), "another reference system; export it again as WGS 84"),
        (collection(feature(), crs="EPSG:2263"), "another reference system"),
        (collection(feature(), crs={"properties": 5}), "another reference system"),
        (collection({**feature(id=...), "id": {}}), "feature 1: its id must be text"),
        ('{"type": ' + "9" * 5_000 + "}", "thousands of digits"),
        (collection(feature(), 5), "feature 2: must be"),
        (collection({**feature(), "properties": [1]}), "feature 1: its properties must be an object"),
        (collection(feature(), feature(id=...)), "feature 2: has no id"),
        (collection(feature(agency=...)), "feature 1: has no agency"),
        (collection({**feature(), "properties": None}), "feature 1: has no id"),
        (collection({**feature(), "id": "u2"}), "feature 1: its id and its property id differ"),
        (collection(feature(time=...)), "feature 1: has no time"),
        (collection(feature(time="2026-03-07T22:15:00")), "feature 1: time: .* offset"),
        (collection(feature(time="yesterday")), "feature 1: time: .* RFC 3339"),
        (collection(feature(time=1772921700)), "feature 1: time: must be text"),
        (collection({**feature(), "geometry": None}), "feature 1: has time but no position"),
        (collection({"type": "Feature", "properties": {"id": "u1", "agency": "a"}}), "feature 1: has no geometry"),
        (collection(geometry(type="Polygon")), "feature 1: its geometry must be a Point"),
        (collection(geometry(coordinates=["-74", "40"])), "feature 1: its coordinates must be two numbers"),
        (collection(geometry(coordinates=[-74.0])), "feature 1: its coordinates must be two numbers"),
        (collection(geometry(coordinates=[True, 1])), "feature 1: its coordinates must be two numbers"),
        (collection(geometry(coordinates=[40.7, -120.0])), r"feature 1: latitude .* \(is it lon, lat"),
        (collection(geometry(coordinates=[float("nan"), 40.7])), "NaN; leave out"),
        (collection(feature(speed_mps=float("inf"))), "Infinity; leave out"),
        (collection(feature(speed_mps="8 m/s")), "feature 1: speed_mps: must be a number"),
        (collection(feature(speed_mps=300)), "feature 1: unit u1: speed_mps must be between"),
        (collection(feature(course_deg=361)), "feature 1: unit u1: course_deg"),
        (collection(feature(officers=1.5)), "feature 1: officers: must be a whole number"),
        (collection(feature(capabilities="k9")), "feature 1: capabilities: must be a list"),
        (collection(feature(call_sign=14)), "feature 1: call_sign: must be text"),
        (collection(feature(availability="busy")), "feature 1: availability must be one of"),
        (collection(feature(callsign="2A14")), "feature 1: has an unknown property 'callsign'; is it call_sign"),
        (collection(feature(colour="blue")), "feature 1: has an unknown property 'colour'; known are id, agency"),
        (collection(feature(), feature(id="u2"), feature()), "features 1 and 3 are both unit u1"),
    ],
)
def test_a_fault_is_named_with_its_feature_and_its_cure(tmp_path, document, says):
    with pytest.raises(BadInput, match=says) as fault:
        read(tmp_path, document)
    assert str(fault.value).startswith("units.geojson: ")
    assert "-74.03" not in str(fault.value)
    assert str(tmp_path) not in str(fault.value)


def test_numbers_too_large_to_be_any_are_refused(tmp_path):
    text = json.dumps(collection(feature(accuracy_m=4))).replace('"accuracy_m": 4', '"accuracy_m": 1e999')
    with pytest.raises(BadInput, match="accuracy_m: must be a number"):
        read(tmp_path, text)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"nowhere\.geojson: cannot be read"):
        read_fleet(tmp_path / "nowhere.geojson")
    (tmp_path / "units.shp").write_bytes(b"\x00\x00\x27\x0a\xff\xfe")
    with pytest.raises(BadInput, match="is not JSON"):
        read_fleet(str(tmp_path / "units.shp"))
