"""What a service is told in a file: TOML, each key with its own meaning and limit, every fault named at once.

`geomatch serve --explain-settings` writes one with every key, what it means and what it is where nothing is said.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from geomatch.aid.ledger import Balance, Ledger
from geomatch.aid.toml_files import Document
from geomatch.errors import BadInput, BadMap
from geomatch.quantities import parse_time
from geomatch.service.settings import Settings

FROM_FILE = "ties_by"
SECRET_ENV = "secret_env"  # noqa: S105 - the name of a key


@dataclass(frozen=True, kw_only=True)
class ServiceFile:
    settings: Settings = field(default_factory=Settings)
    ties_by: Ledger | None = None


def read_settings(path: Path, environment: Mapping[str, str]) -> ServiceFile:
    """Raises BadInput: every fault on a line of its own, with file, line and key. `environment` holds the secrets."""
    tables = (*(one.name for one in fields(Settings)), FROM_FILE)
    try:
        document = Document(path, *tables)
        ledger = document.tree.pop(FROM_FILE, None)
        for number, target in enumerate(_tables(document.tree.get("webhooks"))):
            _take_secret(document, number, target, environment)
        settings = document.whole(Settings)
        ties_by = None if ledger is None else _ledger(document, path.parent, ledger)
    except BadMap as fault:
        # What it says is right; that it is of a map is not.
        raise BadInput(str(fault)) from None
    return ServiceFile(settings=settings, ties_by=ties_by)


def _take_secret(document: Document, number: int, target: dict[str, Any], environment: Mapping[str, str]) -> None:
    """No secret stands in a file: the environment variable that holds it does."""
    where = ("webhooks", number)
    if "secret" in target:
        raise document.error((*where, "secret"), f"a secret stands in no file: name its variable, as {SECRET_ENV}")
    variable = target.pop(SECRET_ENV, None)
    if not isinstance(variable, str):
        raise document.error(where, f"{SECRET_ENV} is missing; name the environment variable that holds the secret")
    if variable not in environment:
        raise document.error((*where, SECRET_ENV), f"the environment variable {variable} is not set; set it")
    target["secret"] = environment[variable]


def _tables(listed: object) -> Iterator[dict[str, Any]]:
    """What is no list of tables is told when the whole is read."""
    return (one for one in (listed if isinstance(listed, list) else ()) if isinstance(one, dict))


def _ledger(document: Document, folder: Path, name: object) -> Ledger:
    where: tuple[str | int, ...] = (FROM_FILE,)
    if not isinstance(name, str):
        raise document.error(where, "must be the name of a file that `geomatch ledger --json` wrote")
    try:
        return read_ledger(folder / name)
    except BadInput as fault:
        raise document.error(where, str(fault)) from None


def read_ledger(path: Path) -> Ledger:
    """What `geomatch ledger --json` wrote. Raises BadInput."""
    names = [one.name for one in fields(Balance)]
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return Ledger.of_balances(
            [Balance(**{name: one[name] for name in names}) for one in told["balances"]],
            since=parse_time(told["since"]), until=parse_time(told["until"]),
        )  # fmt: skip
    except OSError as fault:
        raise BadInput(f"{path.name} cannot be read ({fault.strerror}): check the name") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadInput(f"{path.name} is no ledger: write one with `geomatch ledger --json`") from None


def explained() -> str:
    """A settings file in which every key stands with its meaning, and with what holds where it is left out."""
    lines = ["# Settings of `geomatch serve --settings`. What is left out holds as it stands here.", "format = 1", ""]
    later: list[str] = []
    for one in fields(Settings):
        value = getattr(Settings(), one.name)
        if is_dataclass(value):
            later += ["", *_said(_meaning(Settings, one.name)), f"[{one.name}]", *_table(value, one.name)]
        elif one.name != "webhooks":
            lines += [*_said(_meaning(Settings, one.name)), f"{one.name} = {_written(value)}"]
    lines += [
        "# Units of equal ETA come in the order of what their agencies owe: a file of `geomatch ledger --json`.",
        f'# {FROM_FILE} = "ledger.json"',
    ]
    hooks = ["", "# Where events of open stops are posted, signed as Standard Webhooks has it.", "# [[webhooks]]",
             '# url = "https://cad.example/events"', f'# {SECRET_ENV} = "CAD_WEBHOOK_SECRET"',
             '# kinds = ["officer_emergency", "no_cover"]  # left out: all']  # fmt: skip
    return "\n".join([*lines, *later, *hooks]) + "\n"


def _table(value: Any, name: str) -> Iterator[str]:
    inner: list[tuple[str, Any]] = []
    for one in fields(value):
        held = getattr(value, one.name)
        if is_dataclass(held) or isinstance(held, Mapping):
            inner.append((one.name, held))
            continue
        yield from _said(_meaning(type(value), one.name))
        yield f"{one.name} = {_written(held)}"
    for key, held in inner:
        yield ""
        yield from _said(_meaning(type(value), key))
        yield f"[{name}.{key}]"
        if isinstance(held, Mapping):
            yield from (f"{_written(word).strip(chr(34))} = {_written(number)}" for word, number in held.items())
        else:
            yield from _table(held, f"{name}.{key}")


def _said(meaning: str) -> list[str]:
    return [f"# {line.strip()}" for line in meaning.splitlines() if line.strip()]


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    return json.dumps(str(value) if isinstance(value, StrEnum) else value)


def _meaning(kind: type[Any], name: str) -> str:
    """The docstring under a field, or that of its type."""
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - a class it is
    told = False
    for statement in body.body:
        if told and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            return str(statement.value.value)
        told = isinstance(statement, ast.AnnAssign) and getattr(statement.target, "id", "") == name
    return ""
