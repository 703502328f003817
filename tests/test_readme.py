"""The README is true: its Python runs, and its commands exist."""

from __future__ import annotations

import re

import pytest
from conftest import CHECKOUT

from geomatch.cli import main

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL))


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    (tmp_path / "data").symlink_to(CHECKOUT / "data")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL):
        exec(compile(block, "README.md", "exec"), names)
    said = capsys.readouterr().out
    assert "u1" in said
    assert "u2" in said


@pytest.mark.parametrize("command", sorted(set(re.findall(r"\bgeomatch ([a-z]+)", SHELL))))
def test_every_command_the_readme_names_exists(command: str, capsys):
    assert main([command, "--help"]) == 0
    assert f"geomatch {command}" in capsys.readouterr().out


def test_the_two_commands_of_a_fresh_machine_are_marked():
    assert len(re.findall(r"^<!-- (?:demo|test) -->\n```sh\npython3 .*\n```$", README, flags=re.MULTILINE)) == 2
