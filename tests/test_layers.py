"""Layers of every format give the same areas, in the right place, or one clear error and nothing."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
from dataclasses import asdict

import geopandas
import numpy as np
import pytest
import shapely
from pyproj import Geod, Transformer
from shapely import box

from geomatch import build
from geomatch.aid.jurisdictions import MILE_M, Jurisdictions, ServiceKind
from geomatch.errors import BadMap
from geomatch.maps.layers.field_mapping import read_mapping
from geomatch.maps.layers.jurisdictions import load_jurisdictions, parse_date, read_jurisdictions
from geomatch.maps.layers.nena import FIELD_NAMES, LAYERS, Edition, schema_of, urn_domain
from geomatch.maps.osm.boundaries import boundaries_from_osm
from geomatch.quantities import LonLat, Projection, parse_time

HOME = Projection(LonLat(-93.0, 45.0))
AT = parse_time("2026-03-07T22:15:00Z")
LOCAL = "urn:emergency:service:responder.police.local"
FORMATS = {"gpkg": "GPKG", "geojson": "GeoJSON", "shp": "ESRI Shapefile", "fgb": "FlatGeobuf", "gdb": "OpenFileGDB"}


def layer_of_towns(crs="EPSG:4326"):
    """Three towns; the last has a hole and two parts."""
    ring = shapely.difference(box(-92.98, 45.0, -92.97, 45.01), box(-92.978, 45.004, -92.976, 45.006))
    shapes = [box(-93.0, 45.0, -92.99, 45.01), box(-92.99, 45.0, -92.98, 45.01)]
    shapes.append(shapely.union(ring, box(-92.96, 45.0, -92.95, 45.01)))
    rows = {
        "DiscrpAgID": ["gis.county.us"] * 3,
        "DateUpdate": ["2026-01-01T00:00:00Z"] * 3,
        "Effective": [None, "2026-01-01T06:00:00+06:00", None],
        "Expire": [None, None, "2027-01-01T00:00:00Z"],
        "NGUID": [f"urn:emergency:uid:gis:Pol:{i}:county.us" for i in range(3)],
        "Agency_ID": ["a.us", "b.us", "c.us"],
        "ServiceURI": [f"sip:{name}@county.us" for name in "abc"],
        "ServiceURN": [LOCAL] * 3,
        "AVcard_URI": ["https://county.us/card"] * 3,
        "DsplayName": ["Ás", "B town", "C"],
    }
    return geopandas.GeoDataFrame(rows, geometry=shapes, crs="EPSG:4326").to_crs(crs)


def write(frame, folder, ending, name="PolicePolygon"):
    path = folder / f"{name}.{ending}"
    several = {"layer": name} if ending in ("gpkg", "gdb") else {}
    if ending == "gdb":
        several["promote_to_multi"] = True
    frame.to_file(path, driver=FORMATS[ending], **several)
    return path


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32615"])
def test_every_format_gives_the_same_areas(tmp_path, ending, crs):
    if ending == "geojson":
        crs = "EPSG:4326"  # RFC 7946 knows no other
    areas, report = read_jurisdictions(write(layer_of_towns(crs), tmp_path, ending), projection=HOME, accuracy_m=5.0)
    assert [(area.agency, area.display_name) for area in areas] == [("a.us", "Ás"), ("b.us", "B town"), ("c.us", "C")]
    assert [area.effective for area in areas] == [None, parse_time("2026-01-01T00:00:00Z"), None]
    assert areas[2].expire == parse_time("2027-01-01T00:00:00Z")
    assert report.kinds == {"police": 3}
    assert report.warnings == []
    for area, shape in zip(areas, layer_of_towns().geometry, strict=True):
        oracle, _ = Geod(ellps="WGS84").geometry_area_perimeter(shapely.orient_polygons(shape))
        assert area.geometry.area == pytest.approx(abs(oracle), rel=1e-4)
    layer = Jurisdictions(areas)
    for lon, agency in ((-92.995, "a.us"), (-92.985, "b.us"), (-92.955, "c.us"), (-92.977, None)):
        x, y = HOME.forward(lon, 45.005)
        assert layer.locate(float(x), float(y), at=AT).agency == agency


def test_a_layer_in_feet_of_another_datum_lands_in_its_place_and_the_missing_grid_is_told(tmp_path):
    home = Projection(LonLat(-73.98, 40.75))
    feet = Transformer.from_crs("OGC:CRS84", "EPSG:2263", always_xy=True)
    lon, lat = np.array([-74.0, -73.99, -73.99, -74.0]), np.array([40.74, 40.74, 40.75, 40.75])
    frame = layer_of_towns().iloc[:1].set_geometry([shapely.Polygon(np.column_stack(feet.transform(lon, lat)))])
    path = write(frame.set_crs("EPSG:2263", allow_override=True), tmp_path, "gpkg")
    (area,), report = read_jurisdictions(path, projection=home)
    corners = shapely.get_coordinates(area.geometry)
    for x, y in zip(*home.forward(lon, lat), strict=True):
        assert np.hypot(corners[:, 0] - x, corners[:, 1] - y).min() < 0.01
    assert any("grid" in warning and "good to" in warning for warning in report.warnings)
    assert report.assumed["positional accuracy of 10 m for the whole file"] == 1


def test_a_long_straight_border_stays_where_the_map_drew_it(tmp_path):
    """20 km of a parallel is no straight line in metres: in one piece its middle would be 7 m off."""
    frame = layer_of_towns().iloc[:1].set_geometry([box(-93.3, 44.9, -92.7, 45.1)])
    (area,), _ = read_jurisdictions(write(frame, tmp_path, "gpkg"), projection=HOME)
    lon = np.linspace(-93.3, -92.7, 777)
    points = shapely.points(np.column_stack(HOME.forward(lon, np.full_like(lon, 45.1))))
    assert shapely.distance(area.geometry.boundary, points).max() < 0.01


def test_real_precincts_and_towns_are_read_through_a_mapping_file(shared_data, tmp_path):
    mapping = tmp_path / "nyc.toml"
    mapping.write_text(
        f"""
        accuracy_m = 12.0
        [fields]
        DsplayName = "name"
        Agency_ID = "{{geoid}}.place.example"
        [constants]
        ServiceURN = "{LOCAL}"
        [[when]]
        match = {{ kind = "nypd_precinct" }}
        constants = {{ Agency_ID = "nypd.example" }}
        [[authority]]
        agency = "nypd.example"
        buffer_m = 1609.344
        """
    )
    home = Projection(LonLat(-73.98, 40.75))
    source = shared_data / "nyc-nj" / "jurisdictions.geojson"
    layer, (report,) = load_jurisdictions([source], projection=home, mapping=mapping)
    assert report.kinds == {"police": 63}
    assert len(layer.agencies()) == 22
    x, y = map(float, home.forward(-73.9857, 40.7577))
    found = layer.locate(x, y, at=AT)
    assert (found.agency, found.beat, found.notes) == ("nypd.example", "NYPD Precinct 14", ())
    oracle = geopandas.read_file(source)
    points = shapely.points(np.random.default_rng(5).uniform((-74.05, 40.70), (-73.90, 40.85), (300, 2)))
    for point in points:
        names = set(oracle.name[oracle.contains(point)])
        x, y = map(float, home.forward(point.x, point.y))
        assert {area.display_name for area in layer.locate(x, y, at=AT).areas} == names
    assert layer.authority["nypd.example"].buffer_m == MILE_M


def test_malta_has_its_boundaries_in_its_extract(shared_data):
    home = Projection(LonLat(14.4, 35.92))
    source = shared_data / "malta" / "malta-latest.osm.pbf"
    councils = boundaries_from_osm(source, 8, projection=home)
    relations = [area for area in councils if area.agency.startswith("r")]
    assert {area.display_name for area in relations} >= {"Birgu", "Tas-Sliema", "Mġarr", "Mellieħa", "Għajnsielem"}
    x, y = map(float, home.forward(14.5146, 35.8989))
    assert Jurisdictions(councils).locate(x, y, at=AT).areas[0].display_name == "Valletta"
    islands = boundaries_from_osm(source, 4, projection=home)
    gozo = next(area for area in islands if area.display_name == "Gozo")
    assert gozo.geometry.area == pytest.approx(67e6, rel=0.3)  # 67 km2 of land
    with pytest.raises(BadMap, match="admin_level 11"):
        boundaries_from_osm(source, 11, projection=home)


def test_a_region_without_a_layer_may_take_the_boundaries_of_its_map(own_data, tmp_path):
    """A town of one square in an OpenStreetMap file: the map says whose a stop is, and that it stands in."""
    square = [(-101.7, 45.4), (-101.5, 45.4), (-101.5, 45.6), (-101.7, 45.6)]
    text = (own_data / "toy" / "toy.osm").read_text()
    nodes = "".join(
        f'<node id="{990000 + n}" version="1" lat="{lat}" lon="{lon}"/>' for n, (lon, lat) in enumerate(square)
    )
    refs = "".join(f'<nd ref="{990000 + n % 4}"/>' for n in range(5))
    tags = "".join(
        f'<tag k="{k}" v="{v}"/>'
        for k, v in [("boundary", "administrative"), ("admin_level", "8"), ("name", "Toytown")]
    )
    first_way = text.index("<way")
    way = f'<way id="990000" version="1">{refs}{tags}</way>'
    source = tmp_path / "town.osm"
    source.write_text((text[:first_way] + nodes + text[first_way:]).replace("<relation", f"{way}<relation", 1))
    region = build(source, tmp_path / "town.region", admin_level=8)
    assert region.jurisdictions.locate(0.0, 0.0, at=AT).agency == "w990000.boundary.osm"
    assert "stand in for agencies" in region.report["jurisdictions"]["warnings"][0]
    with pytest.raises(BadMap, match="admin_level 4"):
        build(source, tmp_path / "no.region", admin_level=4)
    with pytest.raises(BadMap, match="not mixed"):
        build(source, tmp_path / "no.region", admin_level=8, jurisdictions=source)
    with pytest.raises(BadMap, match="only an OpenStreetMap file"):
        build(tmp_path / "town.graphml", tmp_path / "no.region", admin_level=8)


# What is refused ----------------------------------------------------------------------------------------------------


def refused(path, pattern, **other):
    with pytest.raises(BadMap, match=pattern) as raised:
        read_jurisdictions(path, projection=HOME, **other)
    text = str(raised.value)
    assert "\n" not in text
    assert str(path.parent) not in text


def test_a_layer_without_a_coordinate_system_is_asked_for_one(tmp_path):
    path = write(layer_of_towns(), tmp_path, "shp")
    path.with_suffix(".prj").unlink()
    refused(path, "names no coordinate system")
    assert len(read_jurisdictions(path, projection=HOME, crs="EPSG:4326")[0]) == 3
    refused(path, "no coordinate system: write it", crs="somewhere")
    refused(write(layer_of_towns(), tmp_path, "gpkg"), "leave out what you gave", crs="EPSG:2263")


def test_latitude_before_longitude_is_named(tmp_path):
    swapped = shapely.transform(layer_of_towns().geometry.to_numpy(), lambda points: points[:, ::-1])
    refused(write(layer_of_towns().set_geometry(swapped, crs=4326), tmp_path, "gpkg"), "latitude before longitude")
    path = write(layer_of_towns(), tmp_path, "fgb")
    with pytest.raises(BadMap, match="latitude before longitude"):
        read_jurisdictions(path, projection=Projection(LonLat(45.0, -89.0)))


def test_metres_called_degrees_and_a_layer_of_elsewhere_are_named(tmp_path):
    metres = layer_of_towns("EPSG:32615").set_crs("EPSG:4326", allow_override=True)
    refused(write(metres, tmp_path, "gpkg"), "no degrees on the globe")
    refused(write(metres, tmp_path, "geojson"), "no degrees on the globe")
    with pytest.raises(BadMap, match="of another region"):
        read_jurisdictions(write(layer_of_towns(), tmp_path, "fgb"), projection=Projection(LonLat(14.4, 35.9)))


@pytest.mark.parametrize(
    ("shape", "pattern"),
    [
        (None, "1 of 3 features have no geometry; the first is urn:emergency:uid:gis:Pol:1:county.us"),
        (shapely.Polygon(), "no geometry"),
        (shapely.Polygon([(-93, 45), (-92.99, 45.01), (-92.99, 45), (-93, 45.01)]), "a broken outline"),
        (shapely.Point(-93, 45), "no plain polygon"),
        (box(-93, 45, 1e12, 45.1), "not on the globe"),
    ],
)
def test_one_feature_that_cannot_be_used_stops_the_layer(tmp_path, shape, pattern):
    frame = layer_of_towns()
    shapes = frame.geometry.to_numpy().copy()
    shapes[1] = shape
    refused(write(frame.set_geometry(shapes, crs=4326), tmp_path, "gpkg"), pattern)


def test_a_curve_is_named_and_not_straightened_in_silence(tmp_path):
    path = write(layer_of_towns(), tmp_path, "gpkg")
    ring = [(-93.0, 45.0), (-92.995, 45.005), (-92.99, 45.0), (-92.995, 44.995), (-93.0, 45.0)]
    curve = struct.pack("<BII", 1, 10, 1)
    curve += struct.pack("<BII", 1, 8, len(ring)) + b"".join(struct.pack("<dd", *point) for point in ring)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA trusted_schema=1")
        for trigger in db.execute("SELECT name FROM sqlite_master WHERE type='trigger'").fetchall():
            db.execute(f'DROP TRIGGER "{trigger[0]}"')
        db.execute("UPDATE PolicePolygon SET geom = ? WHERE fid = 2", (b"GP\0\x01" + struct.pack("<i", 4326) + curve,))
    db.close()
    refused(path, "1 of 3 features have a curved geometry")


@pytest.mark.parametrize("part", ["shp", "dbf", "shx"])
def test_a_truncated_shapefile_is_refused(tmp_path, part):
    path = write(layer_of_towns(), tmp_path, "shp")
    cut = path.with_suffix(f".{part}")
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    refused(path, "cut short|damaged")
    cut.unlink()
    refused(path, "there is no file|without its .dbf|damaged")


@pytest.mark.parametrize("ending", ["geojson", "gpkg", "shp", "fgb", "json", "txt"])
def test_nonsense_is_refused_whatever_it_calls_itself(tmp_path, ending):
    path = tmp_path / f"layer.{ending}"
    heads = {
        "gpkg": b"SQLite format 3\0",
        "fgb": b"fgb\x03fgb\0",
        "geojson": b'{"type":"FeatureCollection","features":[',
    }
    path.write_bytes(heads.get(ending, b"") + np.random.default_rng(1).bytes(200_000))
    path.with_suffix(".dbf").write_bytes(b"nonsense")
    refused(path, "damaged or of no known format|no Shapefile|no layer with features")
    path.write_bytes(b"")
    refused(path, "is empty")
    refused(tmp_path / "nowhere.gpkg", "there is no file")
    refused(tmp_path, "is a folder")


def test_a_cut_geojson_gives_nothing(tmp_path):
    path = write(layer_of_towns(), tmp_path, "geojson")
    path.write_bytes(path.read_bytes()[:-300])
    refused(path, "damaged")


@pytest.mark.parametrize(
    ("column", "value", "pattern"),
    [
        ("Expire", "next summer", "Expire of feature urn:emergency:uid:gis:Pol:1:county.us is no date"),
        ("Agency_ID", None, "names no agency"),
    ],
)
def test_a_value_the_ranking_needs_is_never_guessed(tmp_path, column, value, pattern):
    frame = layer_of_towns()
    frame.loc[1, column] = value
    refused(write(frame, tmp_path, "gpkg"), pattern)


def test_a_file_of_several_layers_reads_the_nena_ones_and_asks_about_others(tmp_path):
    path = tmp_path / "all.gpkg"
    psap = layer_of_towns().assign(ServiceURN="urn:service:sos", Agency_ID="911.us")
    coast = layer_of_towns().assign(ServiceURN="urn:emergency:service:responder.coast_guard")
    for name, frame in (("PolicePolygon", layer_of_towns()), ("PsapPolygon", psap), ("Other", coast)):
        frame.to_file(path, driver="GPKG", layer=name)
    areas, report = read_jurisdictions(path, projection=HOME)
    assert report.kinds == {"police": 3, "psap": 3}
    x, y = map(float, HOME.forward(-92.995, 45.005))
    assert Jurisdictions(areas).locate(x, y, at=AT, kind=ServiceKind.psap).agency == "911.us"
    assert json.loads(json.dumps(asdict(report)))["kinds"] == {"police": 3, "psap": 3}
    refused(path, "no layer 'Fire'", layer="Fire")
    refused(path, "holds no service area", layer="Other")
    for name in ("One", "Two"):
        layer_of_towns().to_file(tmp_path / "odd.gpkg", driver="GPKG", layer=name)
    refused(tmp_path / "odd.gpkg", "say which, of One, Two")


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("[fields]\nDsplayName = 'nom'", "no column 'nom'"),
        ("[fields]\nDisplayName = 'name'", "'DisplayName' is not known"),
        ("feilds = 1", "'feilds' is not known"),
        ("[fields", "cannot be read"),
        ("layer = 'PoliceArea'", "known are PolicePolygon"),
        ("accuracy_m = -1", "accuracy_m must be a number"),
        ("[[when]]\nmatch = 3", "match must be a table"),
        ("[[authority]]\nbuffer_m = 3", "agency or urn"),
        ("[fields]\nNGUID = 3", "the name of a column"),
    ],
)
def test_a_mapping_file_with_a_slip_is_refused(tmp_path, text, pattern):
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(text)
    refused(write(layer_of_towns(), tmp_path, "gpkg"), pattern, mapping=mapping)


def test_the_documented_mapping_file_is_one(tmp_path):
    from geomatch.maps.layers import field_mapping

    example = field_mapping.__doc__.partition("TOML:\n")[2].rpartition("Columns that")[0]
    path = tmp_path / "example.toml"
    path.write_text("\n".join(line[4:] for line in example.splitlines()))
    mapping = read_mapping(path)
    assert mapping.renames[1].match == {"kind": "nypd_precinct"}
    assert mapping.authority[0].corridors == tmp_path / "freeways.gpkg"


def test_corridors_come_from_a_layer_of_lines(tmp_path):
    line = shapely.LineString([(-93.2, 45.005), (-92.8, 45.005)])
    geopandas.GeoDataFrame(geometry=[line], crs=4326).to_file(tmp_path / "freeways.gpkg")
    mapping = tmp_path / "mapping.toml"
    rule = f'[[authority]]\nurn = "{LOCAL}"\ncorridors = "freeways.gpkg"\n'
    mapping.write_text(rule + "corridor_m = 60")
    layer, _ = load_jurisdictions([write(layer_of_towns(), tmp_path, "fgb")], projection=HOME, mapping=mapping)
    x, y = map(float, HOME.forward(-93.15, 45.005))
    assert layer.has_authority("a.us", x, y + 59, at=AT)
    assert not layer.has_authority("a.us", x, y + 61, at=AT)
    mapping.write_text(rule)
    with pytest.raises(BadMap, match="corridor_m"):
        load_jurisdictions([tmp_path / "PolicePolygon.fgb"], projection=HOME, mapping=mapping)


@pytest.mark.parametrize(
    ("text", "time", "zoned"),
    [
        ("2026/01/02 03:04:05+00", "2026-01-02T03:04:05Z", True),
        ("2026-01-02T03:04:05.5-05:00", "2026-01-02T08:04:05.5Z", True),
        ("2026/1/2", "2026-01-02T00:00:00Z", False),
        ("20 June", None, False),
        (None, None, True),
    ],
)
def test_dates_are_read_as_every_format_writes_them(text, time, zoned):
    assert parse_date(text) == (parse_time(time) if time else None, zoned)


def test_the_schema_is_that_of_the_published_standard(shared_data):
    published = json.loads((shared_data.parent / "standards" / "nena_sta_006_3.json").read_text())
    types = {"TEXT": "text", "DATETIME": "datetime"}
    for name, schema in LAYERS.items():
        ours = {(one.name, str(one.type), one.length, one.required) for one in schema.fields(Edition.sta_006_3)}
        theirs = {(one["name"], types[one["type"]], one["len"], one["required"]) for one in published["layers"][name]}
        assert ours == theirs
    responders = set(published["domains"]["ServiceURNResponder"])
    assert urn_domain(LAYERS["PolicePolygon"], Edition.sta_006_3) == responders
    assert urn_domain(LAYERS["PsapPolygon"], Edition.sta_006_3) >= set(published["domains"]["ServiceURNSOS"])
    assert {field.name for one in LAYERS.values() for field in one.fields(Edition.sta_006_2a)} == set(FIELD_NAMES)


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("PolicePolygon", "PolicePolygon"),
        ("policesheriffpolygon", "PolicePolygon"),
        ("PSAP_Boundary", "PsapPolygon"),
        ("Fire_Polygons", "FirePolygon"),
        ("FireHydrants", None),
        ("places", None),
    ],
)
def test_layers_are_known_by_name(name, schema):
    assert (schema_of(name).name if schema_of(name) else None) == schema


def test_200_megabytes_of_nonsense_are_refused(tmp_path):
    path = tmp_path / "big.geojson"
    with path.open("wb") as out:
        out.write(b'{"type":"FeatureCollection","features":[')
        os.truncate(out.fileno(), 200_000_000)
    refused(path, "damaged")
