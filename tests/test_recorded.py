"""A recorded shift: how it is read, what it says of a draft, and whose cover it counts."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from towns import NOW, at, main_street

from geomatch import Region, build
from geomatch.aid.agreement_files import read_agreements
from geomatch.aid.agreements import Agreements
from geomatch.aid.ledger import Ledger
from geomatch.backup.recorded import lend, replay, try_out
from geomatch.cli import main
from geomatch.errors import BadInput
from geomatch.fleet.files import read_fleet
from geomatch.fleet.shift import SaidStatus, StopMade, read_shift
from geomatch.matcher import Matcher
from geomatch.model import Fix, Unit, UnitState
from geomatch.quantities import LonLat, format_time

PAPERS = """
format = 1

[[agreement]]
id = "east-helps"
version = 1
title = "East helps town at once, one unit at a time"
status = "active"
provider_agency = "east.example"
receiver_agency = "town.example"
mode = "automatic"
authority = "full"
legal_basis = { kind = "mou", citation = "MOU 12" }
limits = { max_units_at_once = 1 }
"""
DRAFT = """
format = 1

[[agreement]]
id = "west-helps"
version = 1
title = "West may help too"
status = "draft"
provider_agency = "west.example"
receiver_agency = "town.example"
mode = "automatic"
authority = "full"
effective = { starts = 2030-01-01T00:00:00Z }
legal_basis = { kind = "mou", citation = "MOU 13" }
"""


def line(kind: str, after_s: float, **members) -> str:
    return json.dumps({"type": kind, "time": format_time(NOW + after_s), **members})


def place(x: float) -> dict:
    where = at(x)
    return {"lon": where.lon, "lat": where.lat}


def stop(name: str, x: float, **more) -> dict:
    return {"id": name, "at": place(x), "agency": "town.example", **more}


SHIFT = [
    line("shift", 0.0, simulated=True),
    line("fix", 1.0, unit="own", at=place(0.0), course_deg=None),
    line("fix", 2.0, unit="east", at=place(900.0)),
    line("fix", 3.0, unit="west", at=place(1950.0)),
    line("fix", 4.0, unit="nobody", at=place(10.0)),
    line("status", 5.0, unit="east", availability="available", activity="patrol"),
    line("stop", 10.0, stop=stop("s1", 1000.0)),
    line("stop", 20.0, stop=stop("s2", 1100.0)),
    line("clear", 110.0, stop="s1"),
    line("fix", 120.0, unit="west", at=place(1000.0)),
    line("fix", 121.0, unit="own", at=place(0.0)),
    line("fix", 122.0, unit="east", at=place(900.0)),
    line("stop", 130.0, stop=stop("s3", 1000.0, need={"officers": 2})),
    line("fix", 200.0, unit="own", at=place(0.0)),
]  # fmt: skip
STATES = [
    UnitState(unit=Unit(id=name, agency=f"{name.replace('own', 'town')}.example")) for name in ("own", "east", "west")
]


@pytest.fixture(scope="module")
def region(tmp_path_factory) -> Region:
    folder: Path = tmp_path_factory.mktemp("street")
    (folder / "papers.toml").write_text(PAPERS, encoding="utf-8")
    return main_street(folder / "main.region", agreements=(folder / "papers.toml",))


@pytest.fixture(scope="module")
def metro(tmp_path_factory, own_data) -> Path:
    out = tmp_path_factory.mktemp("metro") / "metro.region"
    folder = own_data / "metro"
    build(
        folder / "metro.osm.pbf", out, jurisdictions=folder / "jurisdictions.geojson",
        agreements=folder / "agreements.toml",
    )  # fmt: skip
    return out


@pytest.fixture
def shift(tmp_path) -> Path:
    path = tmp_path / "shift.ndjson.gz"
    path.write_bytes(gzip.compress("\n".join(SHIFT).encode()))
    return path


def test_each_stop_has_the_fleet_as_it_was(region, shift):
    recorded = replay(region, STATES, read_shift(shift))
    assert [(m.stop.id, m.now - NOW) for m in recorded.moments] == [("s1", 10.0), ("s2", 20.0), ("s3", 130.0)]
    west = recorded.moments[0].view.slots["west"]
    xs = [round(m.view.x[west] - recorded.moments[0].view.x[west]) for m in recorded.moments]
    assert xs == [0, 0, -950]
    assert recorded.cleared == {"s1": NOW + 110.0}
    assert (recorded.until, recorded.left_out) == (NOW + 200.0, {"unknown_unit": 1})


def test_a_replayed_moment_is_that_of_a_fleet_that_was_told_every_line(metro, own_data):
    states = read_fleet(own_data / "metro" / "fleet.geojson")
    happenings = list(read_shift(own_data / "metro" / "shift.ndjson.gz"))
    last = max(n for n, one in enumerate(happenings) if isinstance(one, StopMade))
    region = Region.open(metro)
    moment = replay(region, states, happenings[: last + 1]).moments[-1]
    matcher = Matcher(region)
    matcher.register([state.unit for state in states])
    for one in happenings[:last]:
        match one:
            case Fix():
                matcher.update([one])
            case SaidStatus(unit=unit, status=said):
                matcher.set_status(unit, availability=said.availability, activity=said.activity, at=said.at)
    view = matcher.fleet.view()
    for name in ("availability", "fix_time", "x", "y", "edge", "fraction"):
        assert np.array_equal(getattr(view, name), getattr(moment.view, name), equal_nan=True), name
    assert view.activity == moment.view.activity


def test_a_draft_is_tried_beside_what_holds(region, shift, tmp_path):
    """West is never nearest but at s3; in each of the three rankings it is new."""
    paper = tmp_path / "draft.toml"
    paper.write_text(DRAFT, encoding="utf-8")
    recorded = replay(region, STATES, read_shift(shift))
    read = read_agreements([paper], beside=region.agreements)
    every = Agreements(region.agreements.all, read.areas.values())
    (found,) = try_out(region, read.all, every, recorded, k=5)
    assert (found.stops, found.added, found.added_first, found.removed) == (3, 3, 1, 0)
    (first_only,) = try_out(region, read.all, every, recorded, k=1)
    assert (first_only.added, first_only.removed) == (1, 1)
    assert region.agreements.of("west.example", "town.example") == (), "the region itself is as it was"


def test_cover_is_lent_under_the_limits_and_counted_until_the_stop_is_over(region, shift):
    """East goes to s1 for 100 s. Its one place is taken when s2 is made: town's own car goes and stays. At s3 it is
    back."""
    recorded = replay(region, STATES, read_shift(shift))
    lent = lend(region, recorded)
    assert [(one.unit, one.incident, one.taken_at - NOW, one.released_at - NOW) for one in lent] == [
        ("east", "s1", 10.0, 110.0), ("east", "s3", 130.0, 200.0)
    ]  # fmt: skip
    (balance,) = Ledger(lent, until=recorded.until).balances()
    assert (balance.agency, balance.other, balance.gave_s, balance.took_s) == ("east.example", "town.example", 170.0, 0)


def test_without_papers_nothing_is_lent(tmp_path, shift):
    bare = main_street(tmp_path / "bare.region")
    with pytest.raises(BadInput, match="no agreements"):
        lend(bare, replay(bare, STATES, read_shift(shift)))


FAULTS = {
    "not JSON": ("{", "not JSON"),
    "NaN": ('{"type": "fix", "time": NaN}', "NaN"),
    "no type": ('{"time": "2026-03-07T22:00:00Z"}', "type must be"),
    "no time": ('{"type": "fix"}', '"time" in RFC 3339'),
    "a list": ("[]", '"time" in RFC 3339'),
    "text for a number": (line("fix", 1.0, unit="u", at=place(0.0), speed_mps="3"), "speed_mps"),
    "an unknown key": (line("fix", 1.0, unit="u", at=place(0.0), speed_kph=3), "speed_kph"),
    "earlier than the one before": (line("clear", -500.0, stop="s"), "earlier than the line before"),
    "too long": ('{"type": "shift", "x": "' + "x" * 1_000_000 + '"}', "too long"),
    "a clear of nothing": (line("clear", 1.0), "id of its stop"),
    "a status of nobody": (line("status", 1.0, availability="available"), "name its unit"),
}


@pytest.mark.parametrize(("bad", "told"), FAULTS.values(), ids=FAULTS)
def test_a_bad_line_is_named(tmp_path, bad, told):
    path = tmp_path / "shift.ndjson"
    path.write_text(line("shift", 0.0) + "\n" + bad + "\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"shift.ndjson, line 2: ") as fault:
        list(read_shift(path))
    assert told in str(fault.value)


def test_a_shift_that_is_cut_short_or_has_no_stop_is_refused(tmp_path, region, shift):
    cut = tmp_path / "cut.ndjson.gz"
    cut.write_bytes(shift.read_bytes()[:-40])
    with pytest.raises(BadInput, match=r"cut.ndjson.gz cannot be read after line \d+"):
        list(read_shift(cut))
    with pytest.raises(BadInput, match="no stop"):
        replay(region, STATES, [Fix(unit="own", time=NOW, at=LonLat(0.0, 0.0))])


# The commands, on the metro itself


def told(capsys, *words: object) -> str:
    status = main([str(word) for word in words])
    done = capsys.readouterr()
    assert status == 0, done.err
    return done.out


def test_a_paper_that_holds_already_changes_nothing_and_one_withdrawn_takes_its_units_away(
    capsys, metro, own_data, tmp_path
):
    text = (own_data / "metro" / "agreements.toml").read_text(encoding="utf-8")
    start = text.index('[[agreement]]\nid = "larkin-riverton"')
    as_it_is = text[start : text.index("\n[[agreement]]", start)]
    ban = as_it_is.replace('"automatic"', '"prohibited"').replace("version = 1", "version = 2")
    draft = tmp_path / "draft.toml"
    draft.write_text(f"format = 1\n{as_it_is}\n{ban}", encoding="utf-8")
    words = ("agreements", "try", draft, "--region", metro, "--shift", own_data / "metro" / "shift.ndjson.gz")
    same, withdrawn = json.loads(told(capsys, *words, "--json"))["tried"]
    assert same["sentence"] == "larkin-riverton@1 would have changed nothing at any of 29 stops"
    assert withdrawn["removed"] > 0
    assert withdrawn["added"] <= withdrawn["removed"]
    assert told(capsys, *words).splitlines() == [same["sentence"], withdrawn["sentence"]]


def test_papers_are_checked_signed_and_checked_against_the_keys(capsys, metro, own_data, tmp_path):
    papers, public = own_data / "metro" / "agreements.toml", own_data / "metro" / "agency_keys.toml"
    words = ("agreements", "check", papers, "--region", metro, "--keys", public)
    listed = json.loads(told(capsys, *words, "--json"))["agreements"]
    assert {row["agreement"] for row in listed} == {one.key for one in read_agreements([papers]).all}
    assert not any(row["missing_signoffs"] for row in listed if row["status"] == "active")

    line_of = told(capsys, "agreements", "keys", "--agency", "west.example", "-o", tmp_path / "west.key")
    other = told(capsys, "agreements", "keys", "--agency", "town.example", "-o", tmp_path / "town.key")
    assert (tmp_path / "west.key").stat().st_mode & 0o077 == 0
    assert main(["agreements", "keys", "--agency", "x", "-o", str(tmp_path / "west.key")]) == 1
    assert "never overwritten" in capsys.readouterr().err
    keys, draft = tmp_path / "keys.toml", tmp_path / "draft.toml"
    keys.write_text(f"[keys]\n{line_of}{other}", encoding="utf-8")
    draft.write_text(DRAFT.replace('"draft"', '"active"'), encoding="utf-8")
    assert main(["agreements", "check", str(draft), "--keys", str(keys)]) == 1
    assert "west.example and town.example did not sign" in capsys.readouterr().err
    signed = [
        told(capsys, "agreements", "sign", draft, "--agency", f"{name}.example", "--key", tmp_path / f"{name}.key")
        .splitlines()[1]
        for name in ("west", "town")
    ]  # fmt: skip
    draft.write_text(draft.read_text(encoding="utf-8") + f"signoffs = [\n{chr(10).join(signed)}\n]\n", encoding="utf-8")
    assert "nothing is wrong" in told(capsys, "agreements", "check", draft, "--keys", keys)
    draft.write_text(draft.read_text(encoding="utf-8").replace("MOU 13", "MOU 14"), encoding="utf-8")
    assert main(["agreements", "check", str(draft), "--keys", str(keys)]) == 1


def test_papers_that_do_not_fit_the_region_are_refused_with_the_line(capsys, metro, tmp_path):
    draft = tmp_path / "draft.toml"
    draft.write_text(DRAFT, encoding="utf-8")
    assert main(["agreements", "check", str(draft), "--region", str(metro)]) == 1
    assert "line 9, agreement.provider_agency: 'west.example' is on no loaded map" in capsys.readouterr().err
    assert main(["agreements", "sign", str(draft), "--agency", "west.example", "--key", str(draft)]) == 1
    assert "is no Ed25519 private key" in capsys.readouterr().err


def test_the_ledger_of_the_shift_balances(capsys, metro, own_data):
    words = ("ledger", metro, "--shift", own_data / "metro" / "shift.ndjson.gz")
    book = json.loads(told(capsys, *words, "--json"))
    assert book["units_lent"] > 0
    assert book["balances"]
    lines = told(capsys, *words).splitlines()
    assert lines[1:] == [f"  {one['sentence']}" for one in book["balances"]]
    mine = told(capsys, *words, "--agency", "riverton-pd.example").splitlines()
    assert set(mine[1:]) == {text for text in lines[1:] if "riverton-pd.example" in text}
