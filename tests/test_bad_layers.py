"""A layer or paper that cannot be used, through the commands: one line with the cure, and the old region serves on."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from fastapi.testclient import TestClient
from service_town import NOW, SOUTH, STOP, WEST, states, write_police

from geomatch.cli import main
from geomatch.matcher import Matcher
from geomatch.region import Region, content_hash, verify
from geomatch.service.app import create_app
from geomatch.service.watch import RegionWatch

pytest_plugins = ("service_town",)

Make = Callable[[Path], Path]
RING = [
    (WEST, SOUTH),
    (WEST + 0.005, SOUTH + 0.005),
    (WEST + 0.01, SOUTH),
    (WEST + 0.005, SOUTH - 0.005),
    (WEST, SOUTH),
]


def layer(folder: Path, ending: str = "gpkg") -> Path:
    return write_police(folder / f"PolicePolygon.{ending}")


def reshaped(folder: Path, change: Callable[[shapely.Geometry], object], ending: str = "gpkg") -> Path:
    path = layer(folder, ending)
    frame = geopandas.read_file(path)
    path.unlink()
    frame.set_geometry([change(one) for one in frame.geometry], crs="EPSG:4326").to_file(path)
    return path


def no_crs(folder: Path) -> Path:
    path = layer(folder, "shp")
    path.with_suffix(".prj").unlink()
    return path


def latitude_first(folder: Path) -> Path:
    return reshaped(folder, lambda one: shapely.transform(one, lambda points: points[:, ::-1]))


def curved(folder: Path) -> Path:
    path = layer(folder)
    curve = struct.pack("<BII", 1, 10, 1) + struct.pack("<BII", 1, 8, len(RING))
    curve += b"".join(struct.pack("<dd", *point) for point in RING)
    with sqlite3.connect(path) as db:
        for trigger in db.execute("SELECT name FROM sqlite_master WHERE type='trigger'").fetchall():
            db.execute(f'DROP TRIGGER "{trigger[0]}"')
        db.execute("UPDATE PolicePolygon SET geom = ?", (b"GP\0\x01" + struct.pack("<i", 4326) + curve,))
    db.close()
    return path


def truncated(folder: Path) -> Path:
    path = layer(folder, "shp")
    path.write_bytes(path.read_bytes()[:120])
    return path


def nonsense(folder: Path) -> Path:
    """200 MB: a beginning that looks like GeoJSON, noise, and a long nothing."""
    path = folder / "PolicePolygon.geojson"
    with path.open("wb") as out:
        out.write(b'{"type":"FeatureCollection","features":[' + np.random.default_rng(1).bytes(1_000_000))
        os.truncate(out.fileno(), 200_000_000)
    return path


LAYERS: dict[str, tuple[Make, str]] = {
    "no coordinate system": (no_crs, "crs"),
    "latitude first": (latitude_first, "latitude before longitude"),
    "a curve": (curved, "curved geometry"),
    "no geometry": (lambda folder: reshaped(folder, lambda _: None), "no geometry"),
    "an empty geometry": (lambda folder: reshaped(folder, lambda _: shapely.Polygon()), "no geometry"),
    "a truncated Shapefile": (truncated, "cut short"),
    "200 MB of nonsense": (nonsense, "damaged"),
}


@pytest.fixture
def serving(town_folder, tmp_path):
    """A region in a folder of its own, and a service that watches it."""
    folder = tmp_path / "live.region"
    shutil.copytree(town_folder, folder)
    matcher = Matcher(Region.open(folder))
    matcher.replace_fleet(states(), source="test", source_seq=1)
    watch = RegionWatch(matcher, folder, tell=lambda line: pytest.fail(f"nothing is to be told: {line}"))
    return folder, TestClient(create_app(matcher, clock=lambda: NOW, watch=watch)), watch


def refused(capsys, *words: object, says: str) -> None:
    assert main([str(word) for word in words]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("geomatch: ")
    assert told.err.count("\n") == 1, told.err
    assert says in told.err
    assert "Traceback" not in told.err


def serves_on(serving, before: str, answer: dict) -> None:
    folder, client, watch = serving
    watch.look()
    assert watch.fault is None
    assert content_hash(folder) == before
    verify(folder)
    assert client.post("/v1/rankings", json={"stop": STOP}).json() == answer
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".live.region")], "nothing half-built"


@pytest.mark.parametrize(("make", "says"), LAYERS.values(), ids=LAYERS)
def test_a_layer_that_cannot_be_used_leaves_the_old_region_serving(capsys, serving, town_osm, tmp_path, make, says):
    folder, client, _ = serving
    before, answer = content_hash(folder), client.post("/v1/rankings", json={"stop": STOP}).json()
    (tmp_path / "in").mkdir()
    bad = make(tmp_path / "in")
    refused(capsys, "build", town_osm, "-o", folder, "--jurisdictions", bad, says=says)
    serves_on(serving, before, answer)


@pytest.mark.parametrize("name", ["no coordinate system", "a truncated Shapefile", "200 MB of nonsense"])
def test_a_file_that_cannot_be_read_is_one_line_of_a_check_too(capsys, tmp_path, name):
    make, says = LAYERS[name]
    refused(capsys, "check", make(tmp_path), says=says)


@pytest.mark.parametrize("name", ["latitude first", "a curve", "no geometry", "an empty geometry"])
def test_a_feature_that_cannot_be_used_is_a_finding_of_a_check(capsys, tmp_path, name):
    """The file can be read, so all that is wrong with it is told."""
    assert main(["check", str(LAYERS[name][0](tmp_path))]) == 1
    told = capsys.readouterr()
    assert NGUID_END in told.out or "latitude before longitude" in told.out + told.err


NGUID_END = "PolicePolygon:{1}:gis.county.example"
PAPER = """format = 1

[[agreement]]
id = "help"
version = 1
title = "Weehawken helps Hoboken"
status = "active"
provider_agency = "{provider}"
receiver_agency = "hoboken.nj"
mode = "automatic"
authority = "full"
legal_basis = {{ kind = "mou", citation = "MOU 1" }}
"""
PAPERS = {
    "an unknown agency": (
        PAPER.format(provider="weehawken.nj"),
        "line 8, agreement.provider_agency: 'weehawken.nj' is on",
    ),
    "an unknown field": (PAPER.format(provider="weehawken.nj") + "limit = 3\n", "agreement.limit: is no field"),
    "half a file": (PAPER.format(provider="weehawken.nj")[:150], "is not TOML"),
    "a mapping": ("[fields]\nAgency_ID = 'x'\n", "format"),
    "bytes": ("\x00\x01", "is not TOML"),
}


@pytest.mark.parametrize(("text", "says"), PAPERS.values(), ids=PAPERS)
def test_a_paper_that_cannot_be_used_leaves_the_old_region_serving(capsys, serving, town_osm, tmp_path, text, says):
    folder, client, _ = serving
    before, answer = content_hash(folder), client.post("/v1/rankings", json={"stop": STOP}).json()
    (tmp_path / "in").mkdir()
    paper = tmp_path / "in" / "paper.toml"
    paper.write_text(text, encoding="utf-8")
    areas = layer(tmp_path / "in")
    refused(capsys, "build", town_osm, "-o", folder, "-j", areas, "--agreements", paper, says=says)
    serves_on(serving, before, answer)


def test_a_paper_nobody_signed_is_refused_where_signatures_are_asked_for(capsys, serving, town_osm, tmp_path):
    folder, client, _ = serving
    before, answer = content_hash(folder), client.post("/v1/rankings", json={"stop": STOP}).json()
    (tmp_path / "in").mkdir()
    paper, keys = tmp_path / "in" / "paper.toml", tmp_path / "in" / "keys.toml"
    paper.write_text(PAPER.format(provider="weehawken.nj"), encoding="utf-8")
    keys.write_text(f'[keys]\n"hoboken.nj" = "{"A" * 43}="\n', encoding="utf-8")
    words = ("build", town_osm, "-o", folder, "--agreements", paper)
    refused(capsys, *words, "--agency-keys", keys, says="weehawken.nj and hoboken.nj did not sign these terms")
    refused(capsys, *words, "--agency-keys", paper, says="has no [keys]")
    serves_on(serving, before, answer)
