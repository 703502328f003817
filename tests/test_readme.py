"""The README is true: its Python runs, and its commands exist."""

from __future__ import annotations

import re

from conftest import CHECKOUT
from typer.testing import CliRunner

from geomatch.cli import app

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    (tmp_path / "data").symlink_to(CHECKOUT / "data")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL):
        exec(compile(block, "README.md", "exec"), names)
    said = capsys.readouterr().out
    assert "u1" in said
    assert "u2" in said


def test_every_command_the_readme_names_exists():
    for command in sorted(set(re.findall(r"^geomatch (\w+)", README, flags=re.MULTILINE))):
        result = CliRunner().invoke(app, [command, "--help"])
        assert result.exit_code == 0, f"geomatch {command}: {result.output}"


def test_the_two_commands_of_a_fresh_machine_are_marked():
    assert len(re.findall(r"^<!-- (?:demo|test) -->\n```sh\npython3 .*\n```$", README, flags=re.MULTILINE)) == 2
