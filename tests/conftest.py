"""Fixtures every test file may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("everyday", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("everyday")

CHECKOUT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="fail where a test would be skipped")
    parser.addoption("--cases", type=int, default=300, help="random cases of each exactness test")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if report.skipped and item.config.getoption("--no-skips") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and --no-skips forbids it: {report.longrepr}"
    return report


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


@pytest.fixture(scope="session")
def cases(request: pytest.FixtureRequest) -> int:
    """How many random cases an exactness test should run: 300 every day, 10,000 in CI."""
    return int(request.config.getoption("--cases"))
