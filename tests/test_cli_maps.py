"""Maps go in and out on the command line: centrelines for other programs, and markers with names of their own."""

from __future__ import annotations

import json

import geopandas
import pytest
from test_markers import bend as made_bend
from test_markers import markers_at

from geomatch import Region
from geomatch.cli import main
from geomatch.region import write_region

MAPPING = """
[fields]
DM_Value = "MILEPOST"
DM_Rte = "ROUTE_ID"

[constants]
DM_Unit = "kilometers"
"""
NENA = ["--schema", "nena", "--agency", "gis.county.us", "--country", "US", "--state", "MN"]


@pytest.fixture(scope="module")
def bend(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "bend.region"
    write_region(folder, made_bend(), name="bend", attribution="made up", report={})
    return folder


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson"])
def test_centrelines_go_out_and_come_back_as_the_same_roads(capsys, bend, tmp_path, suffix):
    out = tmp_path / f"lines{suffix}"
    assert main(["export", str(bend), "-o", str(out), *NENA]) == 0
    told = capsys.readouterr().err
    assert f"wrote {out} (RoadCenterLine). made up" in told
    lines = geopandas.read_file(out)
    assert set(lines["OneWay"]) == {"FT", "B"}
    assert set(lines["DiscrpAgID"]) == {"gis.county.us"}
    back = tmp_path / "back.region"
    assert main(["build", str(out), "-o", str(back), "--speed-unit", "kph", "--drive-on", "right"]) == 0
    capsys.readouterr()
    old, new = Region.open(bend).network, Region.open(back).network
    assert new.originals == old.originals
    # The made-up bend is measured in the plane, a built one on the ellipsoid.
    assert new.edge_length_m.sum() == pytest.approx(old.edge_length_m.sum(), rel=0.003)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--schema", "nena", "--country", "US", "--state", "MN"], "--agency"),
        (["--agency", "gis.county.us"], "goes with --schema nena alone"),
        (["--speed-unit", "mph"], "goes with --schema nena alone"),
        (["--schema", "gdf"], "roads"),
    ],
)
def test_options_that_do_not_go_together_are_a_usage_error(capsys, bend, tmp_path, options, told):
    assert main(["export", str(bend), "-o", str(tmp_path / "out.gpkg"), *options]) == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_speed_is_written_in_the_unit_that_is_asked_for(capsys, bend, tmp_path):
    limits = {}
    for unit in ("kph", "mph"):
        out = tmp_path / f"{unit}.gpkg"
        assert main(["export", str(bend), "-o", str(out), *NENA, "--speed-unit", unit]) == 0
        limits[unit] = geopandas.read_file(out)["SpeedLimit"].max()
    capsys.readouterr()
    assert limits == {"kph": 108, "mph": 67}


def test_markers_in_columns_of_their_own_names_are_read_by_a_mapping(capsys, bend, tmp_path):
    lines, layer = tmp_path / "lines.gpkg", tmp_path / "posts.gpkg"
    assert main(["export", str(bend), "-o", str(lines), *NENA]) == 0
    rows = [
        {"MILEPOST": row["DM_Value"], "ROUTE_ID": row["DM_Rte"], "geometry": row["geometry"]}
        for row in markers_at([0.0, 1.0, 2.0])
    ]
    geopandas.GeoDataFrame(rows, crs="EPSG:4326").to_file(layer, layer="mileposts")
    mapping = tmp_path / "posts.toml"
    mapping.write_text(MAPPING, encoding="utf-8")
    built = ["build", str(lines), "-o", str(tmp_path / "b.region"), "--speed-unit", "kph", "--drive-on", "right"]
    assert main([*built, "--markers", str(layer)]) != 0
    assert "or a mapping file" in capsys.readouterr().err
    assert main([*built, "--markers", str(layer), "--marker-mapping", str(mapping)]) == 0
    capsys.readouterr()
    place = Region.open(tmp_path / "b.region").markers.said("northbound 95, km 1.5")
    assert place.between == (1.0, 2.0)
    fleet = tmp_path / "fleet.geojson"
    at = {"type": "Point", "coordinates": [place.at.lon, place.at.lat]}
    car = {"id": "u1", "agency": "town.example", "time": "2026-03-07T22:15:00Z"}
    features = [{"type": "Feature", "geometry": at, "properties": car}]
    fleet.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    asked = ["rank", str(tmp_path / "b.region"), "--fleet", str(fleet), "--json"]
    assert main([*asked, "--at-marker", "northbound 95, km 1.5"]) == 0
    (on,) = json.loads(capsys.readouterr().out)["resolved"]["places"]
    assert (on["road"], on["snap_m"] < 0.2) == ("out", True)
    for wrong, told in (
        (["--at-marker", "northbound 96, km 1.5"], "known are I-95"),
        (["--at-marker", "northbound 95, km 1", "--at", "1,1"], "say where the stop is"),
        ([], "say where the stop is"),
    ):
        assert main([*asked, *wrong]) == 2
        assert told in capsys.readouterr().err
    mapping.write_text(MAPPING.replace("DM_Rte", "DM_Route"), encoding="utf-8")
    assert main([*built, "--markers", str(layer), "--marker-mapping", str(mapping)]) != 0
    assert "DM_Route" in capsys.readouterr().err
