"""The command line: what it prints is what the engine says, and what a script reads is JSON."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from importlib.metadata import version

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from service_town import NGUID, NOW, SOUTH, WEST, write_fleet, write_police

from geomatch.cli import application, main
from geomatch.cli.text import compass, distance, minutes
from geomatch.fleet.files import read_fleet
from geomatch.matcher import Matcher
from geomatch.model import Ranking, Stop
from geomatch.quantities import LonLat, format_time
from geomatch.region import Region

pytest_plugins = ("service_town",)

AT = f"{WEST + 0.0021},{SOUTH + 0.0005}"


@pytest.fixture(scope="module")
def demo_cache(tmp_path_factory):
    """Where the demo's region is built, once."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEOMATCH_CACHE", str(folder))
        yield folder


@pytest.fixture
def fleet(tmp_path):
    return write_fleet(tmp_path / "fleet.geojson")


def run(capsys, *words: object) -> str:
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def test_help_loads_nothing_heavy():
    script = (
        "import sys; from geomatch.cli import main; main(['rank', '--help']);"
        "heavy = {'numpy', 'numba', 'fastapi', 'uvicorn', 'rich', 'shapely', 'geopandas', 'osmnx'};"
        "sys.exit(', '.join(heavy & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert "--at LON,LAT" in done.stdout


def test_it_tells_its_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"geomatch {version('geomatch-dispatch')}\n"


def test_every_command_has_help_with_an_example(capsys):
    names = [command.name for command in application().registered_commands]
    assert {"demo", "build", "check", "export", "rank", "serve"} <= set(names)
    for name in names:
        assert f"geomatch {name}" in run(capsys, name, "--help").replace("Usage: geomatch", "")
    overview = run(capsys)
    assert all(name in overview for name in names)


def test_what_a_command_does_fits_into_its_line(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for words in ([], ["agreements", "--help"], ["keys", "--help"], ["journal", "--help"]):
        commands = run(capsys, *words).partition("Commands:")[2]
        assert commands
        assert "..." not in commands


def test_rank_as_json_is_the_matchers_ranking(capsys, town_folder, fleet):
    told = json.loads(run(capsys, "rank", town_folder, "--fleet", fleet, "--at", AT, "-k", 1, "--json"))
    stop = Stop(id="stop-1", at=LonLat(WEST + 0.0021, SOUTH + 0.0005))
    ranking = Matcher(Region.open(town_folder)).rank_units(stop, read_fleet(fleet), 1, now=NOW - 5)
    whole = replace(ranking, excluded=list(ranking.excluded), beyond_k=list(ranking.beyond_k))
    assert told == TypeAdapter(Ranking).dump_python(whole, mode="json")
    assert told["now"] == format_time(NOW - 5), "--now defaults to the newest fix"


def test_rank_in_words_names_every_candidate_its_eta_and_every_reason(capsys, town_folder, fleet):
    told = run(capsys, "rank", town_folder, "--fleet", fleet, "--at", AT, "--officers", 2)
    ranking = json.loads(run(capsys, "rank", town_folder, "--fleet", fleet, "--at", AT, "--officers", 2, "--json"))
    rows = [line for line in told.splitlines() if re.match(r"^\d+ +U\d", line)]
    assert len(rows) == len(ranking["candidates"]) == 2
    for row, candidate in zip(rows, ranking["candidates"], strict=True):
        for part in (candidate["call_sign"], candidate["agency"], minutes(candidate["eta"]["eta_s"])):
            assert part in row
    assert re.search(r"1 not available: u3", told)
    assert "Avenue 2" in told
    assert "(2) are there in" in told
    assert "OpenStreetMap contributors" in told


def test_options_of_the_stop_reach_it(capsys, town_folder, fleet):
    words = ["--course", 0, "--urgency", "officer_emergency", "--agency", "a.b", "--officers", 3, "--capability", "K9",
             "--now", "2026-03-07T22:16:00+00:00", "--json"]  # fmt: skip
    told = json.loads(run(capsys, "rank", town_folder, "--fleet", fleet, "--at", AT, *words))
    stop = told["stop"]
    assert (stop["course_deg"], stop["urgency"], stop["agency"]) == (0, "officer_emergency", "a.b")
    assert (stop["need"]["officers"], stop["need"]["capabilities"]) == (3, ["K9"])
    assert told["now"] == "2026-03-07T22:16:00.000Z"
    assert len(told["resolved"]["places"]) == 1, "a course decides the side of the street"


def test_build_tells_what_was_guessed_and_left_out(capsys, town_osm, tmp_path):
    holes = tmp_path / "holes.osm"
    text = town_osm.read_text().replace('<tag k="maxspeed" v="36"/>', '<tag k="maxspeed" v="quick"/>', 2)
    footpath = '<way id="900" version="1"><nd ref="1"/><nd ref="12"/><tag k="highway" v="footway"/></way>'
    holes.write_text(text.replace("</osm>", f"{footpath}</osm>"))
    told = run(capsys, "build", holes, "-o", tmp_path / "holes.region")
    assert re.search(r"The speed on 4 of 12 pieces of street", told)
    assert "maxspeed=quick (2)" in told
    assert "highway=footway (1)" in told
    report = json.loads(run(capsys, "build", holes, "-o", tmp_path / "holes.region", "--json"))["report"]
    assert report["unread_values"] == {"maxspeed=quick": 2}


def test_what_is_cut_off_is_told_once_and_what_all_holds_is_not_told_as_left_out(capsys, own_data, tmp_path):
    told = " ".join(run(capsys, "build", own_data / "toy" / "toy.osm", "-o", tmp_path / "toy.region").split())
    assert told.count("2 of 28 directed edges") + told.count("2 directed edges") == 1
    assert "turn restrictions" not in told  # its only one holds


def test_driving_side_is_taken_from_the_command_line(capsys, town_osm, tmp_path):
    told = run(capsys, "build", town_osm, "-o", tmp_path / "left.region", "--drive-on", "left")
    assert "left-hand side" in told


def test_export_writes_the_edges_and_turns_of_the_region(capsys, town, town_folder, tmp_path):
    import pyogrio

    out = tmp_path / "town.gpkg"
    run(capsys, "export", town_folder, "-o", out)
    assert {"edges", "turns"} <= {name for name, _ in pyogrio.list_layers(out)}
    assert pyogrio.read_info(out, layer="edges")["features"] == town.network.edges


def test_a_faulty_layer_fails_a_check_and_its_findings_become_features(capsys, tmp_path):
    import geopandas
    import pyogrio

    layer = write_police(tmp_path / "PolicePolygon.geojson")
    assert main(["check", str(layer)]) == 0
    assert "nothing is wrong" in capsys.readouterr().out
    geopandas.read_file(layer).assign(NGUID="no id at all").to_file(layer)
    out = tmp_path / "findings.gpkg"
    assert main(["check", str(layer), "--output", str(out)]) == 1
    told = capsys.readouterr().out
    assert "NGUID" in told
    assert NGUID not in told
    assert pyogrio.read_info(out, layer="findings")["features"] == int(re.search(r"(\d+) finding", told).group(1))


def test_a_region_is_checked_for_damage_and_for_the_warnings_of_its_build(capsys, town_folder):
    assert main(["check", str(town_folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"]
    assert main(["check", str(town_folder), "--crs", "EPSG:4326"]) == 2


def test_the_api_is_not_opened_to_other_machines_by_mistake(capsys, town_folder):
    assert main(["serve", str(town_folder), "--host", "0.0.0.0"]) == 2
    assert "--allow-open" in capsys.readouterr().err


def test_the_demo_shows_a_car_that_is_near_by_air_and_far_by_road(capsys, demo_cache):
    told = run(capsys, "demo", "--once")
    ranking = json.loads(run(capsys, "demo", "--once", "--json"))
    assert json.loads(run(capsys, "demo", "--once", "--json")) == ranking, "the same every time"
    assert "simulated" in ranking["notes"]
    assert "simulated" in told
    listed = [len(ranking[part]) for part in ("candidates", "excluded", "beyond_k")]
    assert sum(listed) == ranking["counts"]["units"] == 120
    for candidate in ranking["candidates"]:
        assert minutes(candidate["eta"]["eta_s"]) in told
    by_air = re.search(r"By air \S+ of (\S+) is nearest: .* By road it is number (\d+)", " ".join(told.split()))
    assert by_air.group(1) != ranking["resolved"]["agency"]
    assert int(by_air.group(2)) > 5
    assert list(demo_cache.glob("metro-*.region"))


def test_the_demo_drives_answers_and_ends_when_it_is_interrupted(demo_cache):
    command = [sys.executable, "-m", "geomatch.cli", "demo", "--port", "0"]
    environment = os.environ | {"GEOMATCH_CACHE": str(demo_cache)}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            address = next(found.group() for line in process.stderr if (found := re.search(r"http://\S+:\d+", line)))
            before = positions(address)
            assert {state["fix"]["source"] for state in before.values()} == {"simulated"}
            waited = time.monotonic()
            while (moved := sum(before[unit]["fix"] != now["fix"] for unit, now in positions(address).items())) < 50:
                assert time.monotonic() - waited < 60, f"only {moved} units moved"
                time.sleep(0.2)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


def positions(address: str) -> dict[str, dict]:
    with urllib.request.urlopen(f"{address}/v1/units", timeout=60) as response:
        return {state["unit"]["id"]: state for state in json.load(response)["units"]}


@given(st.floats(0, 86_400))
def test_minutes_are_within_half_a_second_of_the_time(seconds):
    whole, rest = minutes(seconds).split(":")
    assert len(rest) == 2
    assert int(rest) < 60
    assert abs(int(whole) * 60 + int(rest) - seconds) <= 0.5


@given(st.floats(0, 359.99))
def test_the_compass_points_within_a_sixteenth_of_a_turn(course_deg):
    points = ["north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west"]
    away = abs((points.index(compass(course_deg)) * 45 - course_deg + 180) % 360 - 180)
    assert away <= 22.5


def test_distances_are_metres_below_a_kilometre():
    assert [distance(m) for m in (4, 996, 994, 1549, 12_345)] == ["0 m", "1.0 km", "990 m", "1.5 km", "12.3 km"]
