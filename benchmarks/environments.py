"""Finds or makes the interpreter a rival needs. Some wheels want Python 3.12 or later: an environment of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NEWER = ("osrm-bindings", "pyvalhalla")
CHOSEN = "GEOMATCH_BENCH_PYTHON"


def this(folder: Path) -> str:
    del folder
    return sys.executable


def newer(folder: Path) -> str:
    """Python 3.12 or later with the packages of NEWER, kept in `folder`. Raises FileNotFoundError: none there."""
    python = folder / "newer/bin/python"
    if not (folder / "newer/done").is_file():
        subprocess.run([_interpreter(), "-m", "venv", "--clear", folder / "newer"], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "numpy", *NEWER], check=True
        )
        (folder / "newer/done").touch()
    return str(python)


def _interpreter() -> str:
    """The one named in GEOMATCH_BENCH_PYTHON, this one, or the first on the PATH or kept by pyenv."""
    named = [os.environ.get(CHOSEN, ""), sys.executable]
    named += [shutil.which(f"python3.{minor}") or "" for minor in (12, 13, 14)]
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    named += sorted(str(path) for path in root.glob("versions/3.1[2-9]*/bin/python"))
    for python in filter(None, named):
        check = [python, "-c", "import sys, venv; sys.exit(sys.version_info < (3, 12))"]
        if subprocess.run(check, capture_output=True, check=False).returncode == 0:
            return python
    raise FileNotFoundError(f"no Python 3.12 or later: install one, or name it in {CHOSEN}")
