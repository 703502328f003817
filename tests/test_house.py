"""The house is in order: rooms import downwards only, a light core, clean checks, a README that is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT

HEAVY = ("pandas", "geopandas", "osmnx", "networkx", "pyogrio", "fastapi", "pydantic", "typer", "osmium")


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tool(name: str) -> str:
    """A tool of the environment the tests run in."""
    return str(Path(sys.executable).with_name(name))


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "geomatch", "tests", "benchmarks"),
        ("ruff", "format", "--check", "geomatch", "tests", "benchmarks"),
        ("mypy",),
        ("lint-imports",),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_checks_are_clean(command: tuple[str, ...]):
    run(tool(command[0]), *command[1:])


def test_the_core_and_a_ranking_need_no_map_library_and_no_web_framework(region_of):
    code = f"""
import sys
from geomatch import Fix, LonLat, Matcher, Region, Stop, Unit
region = Region.open({str(region_of("toy"))!r})
matcher = Matcher(region)
matcher.register([Unit(id="u1", agency="a.example")])
at = region.bounds[0]
matcher.update([Fix(unit="u1", time=1.7e9, at=at)])
matcher.rank(Stop(id="s1", at=at), now=1.7e9)
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    assert run(sys.executable, "-c", code).strip() == "[]"


def test_modules_are_short():
    long = {
        path.name: lines
        for path in (CHECKOUT / "geomatch").rglob("*.py")
        if (lines := path.read_text(encoding="utf-8").count("\n")) > 400
    }
    assert not long


def test_the_project_speaks_of_itself_alone():
    """No path of one machine and no registry host in any file that git tracks."""
    listed = subprocess.run(["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    pattern = re.compile(rb"/(?:root|home)/\w|files\.pythonhosted|pypi\.org/simple|deb\.debian\.org|registry\.npmjs")
    names = [name for name in listed.stdout.splitlines() if (CHECKOUT / name).is_file()]
    marked = [
        name for name in names if pattern.search((CHECKOUT / name).read_bytes()) and name != "tests/test_house.py"
    ]
    assert not marked
