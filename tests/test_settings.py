"""What a centre may set: every key is explained, and every fault is named with its file, line and key."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT
from service_town import NOW, STOP, states
from test_ties import lent

from geomatch.aid.ledger import Ledger
from geomatch.backup.stop_events import EventKind
from geomatch.cli import main
from geomatch.errors import BadInput
from geomatch.journal.recorder import Recorder
from geomatch.journal.replay import replay
from geomatch.journal.sqlite import SqliteStore
from geomatch.journal.told import known_regions
from geomatch.model import Phase, Stop, Urgency
from geomatch.quantities import LonLat, format_time
from geomatch.service.settings import Settings
from geomatch.service.settings_file import explained, read_settings

pytest_plugins = ("service_town",)
SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(f"format = 1\n{text}", encoding="utf-8")
    return path


def test_the_explained_file_says_what_holds_without_one(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(explained(), encoding="utf-8")
    told = read_settings(path, {})
    assert told.settings == Settings()
    assert told.ties_by is None


def test_whatever_is_set_counts_and_the_rest_holds(tmp_path):
    path = written(
        tmp_path,
        """
[fleet]
stale_after_s = 90.0
[fleet.rungs]
silent_share = 0.75
[pressure]
at_once = 1
[watch]
closer_by_s = 45.0
[watch.no_cover_s]
officer_emergency = 120.0
[watch.timers]
first_s = 90.0
[watch.timers.in_phase_s]
custody = 300.0
[budget]
interruptions = 4
[emergency]
officers = 5
[[webhooks]]
url = "https://cad.example/events"
secret_env = "CAD"
kinds = ["no_cover"]
""",
    )
    settings = read_settings(path, {"CAD": SECRET}).settings
    assert (settings.watch.closer_by_s, settings.watch.commit_s) == (45.0, 90.0)
    assert (settings.fleet.stale_after_s, settings.fleet.rungs.silent_share) == (90.0, 0.75)
    assert (settings.fleet.future_s, settings.pressure.at_once, settings.pressure.busy_s) == (30.0, 1, 0.1)
    assert dict(settings.watch.no_cover_s) == {
        Urgency.routine_backup: 900.0, Urgency.urgent_backup: 480.0, Urgency.officer_emergency: 120.0,
    }  # fmt: skip
    assert (settings.watch.timers.first_s, settings.watch.timers.in_phase_s[Phase.custody]) == (90.0, 300.0)
    assert (settings.budget.interruptions, settings.emergency.officers) == (4, 5)
    assert (settings.webhooks[0].kinds, settings.webhooks[0].secret) == ((EventKind.no_cover,), SECRET)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[watch]\ncloser_by = 4.0\n", 3, "watch.closer_by: is no field of this table (did you mean 'closer_by_s'?)"),
        ("[watch]\n\ncloser_by_s = 'a'\n", 4, "watch.closer_by_s: must be a valid number"),
        ("[watch]\ncloser_by_s = nan\n", 3, "watch.closer_by_s: must be a finite number"),
        ("[watch.timers]\nfirst_s = 0.0\n", 2, "every time of a timer policy must be more than 0 seconds"),
        ("[watch.no_cover_s]\nurgent = 4.0\n", 3, "watch.no_cover_s.urgent"),
        ("[budget]\nkept_back = 9\n", 2, "keeps back no more than it has"),
        ("[emergency]\nofficers = 0\n", 3, "emergency.officers: must be greater than or equal to 1"),
        ("[watches]\n", 2, "watches: is not known here"),
        ("[[webhooks]]\nurl = 'https://a.example'\nsecret = 'x'\n", 4, "a secret stands in no file"),
        ("[[webhooks]]\nurl = 'https://a.example'\nsecret_env = 'NOT_SET'\n", 4, "NOT_SET is not set"),
        ("[[webhooks]]\nurl = 'http://a.example'\nsecret_env = 'CAD'\n", 2, "must be https"),
        ("ties_by = 'none.json'\n", 2, "ties_by: none.json cannot be read"),
    ],
)
def test_a_fault_is_named_with_its_file_line_and_key(tmp_path, text, line, said):
    with pytest.raises(BadInput) as fault:
        read_settings(written(tmp_path, text), {"CAD": SECRET})
    assert f"settings.toml, line {line}, " in str(fault.value)
    assert said in str(fault.value)


def test_every_fault_has_a_line_of_its_own(tmp_path):
    with pytest.raises(BadInput) as fault:
        read_settings(written(tmp_path, "[watch]\na = 1\ncommit_s = 'x'\n[budget]\nwithin_s = true\n"), {})
    assert len(str(fault.value).splitlines()) == 3


def test_check_config_reads_it_and_says_what_is_wrong(town_folder, tmp_path, capsys):
    good = written(tmp_path, "[emergency]\nofficers = 3\n")
    assert main(["serve", str(town_folder), "--settings", str(good), "--check-config"]) == 0
    assert "nothing is wrong" in capsys.readouterr().out
    bad = written(tmp_path, "[emergency]\nofficers = 'three'\n")
    assert main(["serve", str(town_folder), "--settings", str(bad), "--check-config"]) != 0
    assert "settings.toml, line 3, emergency.officers" in capsys.readouterr().err


def test_the_command_explains_them_without_a_region():
    done = subprocess.run(
        [sys.executable, "-m", "geomatch.cli", "serve", "--explain-settings"],
        capture_output=True, text=True, check=True, cwd=CHECKOUT,
    )  # fmt: skip
    assert done.stdout == explained()


def test_a_ledger_from_a_file_orders_equals_and_a_replay_knows_it(town, tmp_path):
    ledger = Ledger([lent("weehawken.nj", "hoboken.nj", 3), lent("hoboken.nj", "weehawken.nj", 9)], until=1e6)
    balances = [
        {name: getattr(one, name) for name in ("agency", "other", "gave_s", "took_s", "gave_officer_s",
                                               "took_officer_s", "balance_s")}
        for one in ledger.balances()
    ]  # fmt: skip
    told = {"since": format_time(0.0), "until": format_time(1e6), "balances": balances}
    (tmp_path / "ledger.json").write_text(json.dumps(told), encoding="utf-8")
    read = read_settings(written(tmp_path, "ties_by = 'ledger.json'\n"), {}).ties_by
    assert read.balances() == ledger.balances()
    recorder = Recorder(SqliteStore(tmp_path / "j", create=True), town, clock=lambda: NOW, ties_by=read)
    recorder.replace_fleet(states(), source="test", source_seq=1)
    ranking = recorder.rank(Stop(id="s1", at=LonLat(STOP["at"]["lon"], STOP["at"]["lat"])), now=NOW)
    assert "ties_by_ledger" in ranking.notes
    recorder.close()
    found = replay(SqliteStore(tmp_path / "j"), known_regions(town))
    assert (found.same, found.rankings) == (1, 1)
