"""The first answer of a fresh process, wherever it is installed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import CHECKOUT
from towns import main_street

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
