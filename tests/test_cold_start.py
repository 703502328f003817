"""The first answer of a fresh process, wherever it is installed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import CHECKOUT
from service_town import SOUTH, STEP_DEG, WEST
from towns import main_street

pytest_plugins = ("service_town",)

CODE = """
import sys
if sys.argv[2] == "read-only":  # as numba finds it in a read-only installation without a home
    from numba.core import caching
    caching.CompileResultCacheImpl._locator_classes = []
from geomatch import Fix, LonLat, Matcher, Region, Stop, Unit
matcher = Matcher(Region.open(sys.argv[1]))
at = LonLat(10.0, 50.0)
matcher.register([Unit(id="u1", agency="a.example")])
matcher.update([Fix(unit="u1", time=1.7e9, at=at)])
print(matcher.rank(Stop(id="s1", at=at), now=1.7e9).candidates[0].eta.eta_s)
"""


@pytest.mark.parametrize("installation", ["read-only", "ordinary"])
def test_a_fresh_process_ranks_at_once(installation: str, tmp_path):
    main_street(tmp_path / "main.region")
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "main.region"), installation],
        cwd=CHECKOUT, capture_output=True, text=True, check=False, env={"PATH": "", "PYTHONPATH": str(CHECKOUT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "15.0"


WARMED = """
import gc, random, sys
from numba.core.dispatcher import Dispatcher
from geomatch import Fix, LonLat, Matcher, Region, Stop, Unit
from geomatch.service.warm import warm

def compiled():
    loops = [one for one in gc.get_objects() if isinstance(one, Dispatcher)]
    return {f"{one.py_func.__module__}.{one.py_func.__name__}": len(one.signatures) for one in loops}

region = Region.open(sys.argv[1])
warm(region)
before, rng, matcher = compiled(), random.Random(1), Matcher(region)
west, south, step = map(float, sys.argv[2:])
matcher.register([Unit(id=f"u{n}", agency="a.example") for n in range(60)])
for second in range(6):
    matcher.update([
        Fix(
            unit=f"u{n}", time=1.7e9 + second, accuracy_m=rng.choice([None, 5.0, 40.0]),
            at=LonLat(west + step * (n % 3 + 0.02 * second), south + step * (n % 5) / 2),
            course_deg=rng.choice([None, 90.0]), speed_mps=rng.choice([None, 0.0, 8.0]),
        )
        for n in range(60)
    ])
    for k in (1, 5, 60):
        stop = Stop(id="s", at=LonLat(west + step * rng.random(), south + step))
        matcher.rank(stop, k, now=1.7e9 + second + rng.random())
print(*(name for name, count in compiled().items() if count != before[name]))
"""


def test_a_service_that_was_warmed_compiles_nothing_while_units_report_and_rankings_are_asked_for(town_folder):
    """The compiler keeps every request waiting for seconds: a read of the cache is not seen, a new type of call is."""
    town = (str(part) for part in (WEST, SOUTH, STEP_DEG))
    done = subprocess.run(
        [sys.executable, "-c", WARMED, str(town_folder), *town],
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stdout.split()
