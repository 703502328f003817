"""TOML files whose tables are typed: what is wrong is told with file, line and field, and nothing is half-loaded."""

from __future__ import annotations

import json
import sys
import tomllib
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from geomatch.errors import BadInput, BadMap
from geomatch.model.adapters import adapter_of

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

FORMAT = 1
_LARGEST_BYTES = 16_000_000

_Row = TypeVar("_Row")
FieldPath: TypeAlias = tuple[str | int, ...]


class Document:
    """One file, parsed; knows its lines. Its top level is `format = 1` and arrays of the tables named."""

    def __init__(self, path: Path, *tables: str) -> None:
        """Raises BadMap."""
        self.path = path
        try:
            if path.stat().st_size > _LARGEST_BYTES:
                raise BadMap(f"{path} is larger than {_LARGEST_BYTES // 1_000_000} MB: split it into several files")
            self.text = path.read_text(encoding="utf-8")
            self.tree = parse_toml(self.text)
        except OSError as fault:
            raise BadMap(f"{path} cannot be read ({fault.strerror}): check the name and who may read it") from None
        except UnicodeDecodeError:
            raise BadMap(f"{path} is not UTF-8 text: save it as UTF-8") from None
        except ValueError as fault:
            raise BadMap(f"{path} is not TOML: {str(fault)[:200]}") from None
        if self.tree.get("format") != FORMAT:
            raise self.error(("format",), f"must be {FORMAT}, the format this version reads")
        for key in self.tree:
            if key not in ("format", *tables):
                known = " or ".join(f"[[{table}]]" for table in tables)
                raise self.error((key,), f"is not known here; write {known}{near(key, tables)}")

    def rows(self, key: str, kind: type[_Row]) -> list[_Row]:
        """The tables of one name, as instances of a frozen dataclass. Raises BadMap."""
        from pydantic import ValidationError

        rows = self.tree.get(key, [])
        if not isinstance(rows, list):
            raise self.error((key,), f"is one table; write [[{key}]], in double brackets")
        try:
            adapter = adapter_of(list[kind])  # type: ignore[valid-type]  # known at run time
            return adapter.validate_json(json.dumps(rows, default=_rfc3339), strict=True)
        except ValidationError as faults:
            errors = faults.errors(include_url=False, include_input=False)
            first = errors[0]
            more = f" ({len(errors) - 1} more faults in this file)" if len(errors) > 1 else ""
            path = (key, *first["loc"])
            raise self.error(path, _said(first, kind) + more) from None

    def whole(self, kind: type[_Row]) -> _Row:
        """All of the file, but for its format, as one frozen dataclass. Raises BadMap, with a line for each fault."""
        from pydantic import TypeAdapter, ValidationError

        told = {key: value for key, value in self.tree.items() if key != "format"}
        try:
            return TypeAdapter(kind).validate_json(json.dumps(told, default=_rfc3339), strict=True)
        except ValidationError as faults:
            errors = faults.errors(include_url=False, include_input=False)
            lines = dict.fromkeys(str(self.error(one["loc"], _said(one, kind))) for one in errors)
            raise BadMap("\n".join(lines)) from None

    def error(self, path: FieldPath, said: str) -> BadMap:
        line = _line(self.text, path)
        name = ".".join(str(step) for step in path if not isinstance(step, int))
        return BadMap(f"{self.path}, line {line}, {name}: {said}")


def files_of(paths: Iterable[Path | str]) -> list[Path]:
    files: list[Path] = []
    for path in map(Path, paths):
        found = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        if not found:
            raise BadMap(f"{path} holds no .toml file: name a file, or put the agreements there")
        files += found
    return files


def _rfc3339(moment: datetime | date | time) -> str:
    """TOML's times as JSON has them: strict reading then tells 2 from "2" and from true."""
    return moment.isoformat()


def _said(error: ErrorDetails, kind: type[Any]) -> str:
    field = str(error["loc"][-1]) if error["loc"] else ""
    match error["type"]:
        case "missing" | "missing_argument" | "missing_keyword_only_argument":
            return "is missing; add it"
        case "unexpected_keyword_argument" | "extra_forbidden":
            return f"is no field of this table{near(field, _field_names(kind))}; correct it, or take it out"
        case "value_error":
            return str(error["ctx"]["error"])
    return error["msg"].replace("Input should be", "must be").replace("Input must", "must")


def _field_names(kind: type[Any]) -> list[str]:
    """Of a dataclass and of all that its module knows, which are those its fields are of."""
    kinds = [thing for thing in vars(sys.modules[kind.__module__]).values() if isinstance(thing, type)]
    return sorted({field.name for one in kinds if is_dataclass(one) for field in fields(one)})


def near(word: str, known: Iterable[str]) -> str:
    """(did you mean ...?), or nothing."""
    found = get_close_matches(word, list(known), n=1)
    return f" (did you mean {found[0]!r}?)" if found else ""


def _line(text: str, path: FieldPath) -> int:
    """Where the value at `path` is written, counted from 1; of a missing field, where its table begins.

    No TOML reader in use tells lines, so the text is read again by its beginnings: the first lines that hold the value
    end with it, and it begins after the last lines that do not. Done only for an error; about 20 readings.
    """
    lines = [f"{line}\n" for line in text.split("\n")]
    while path and not _holds(parse_toml(text), path):
        path = path[:-1]

    def held_by(count: int) -> int:
        while (tree := _parsed("".join(lines[:count]))) is None:  # inside a value of several lines: on to its end
            count += 1
        return int(_holds(tree, path))

    return max(1, bisect_left(range(len(lines) + 1), 1, key=held_by))


def _holds(tree: Any, path: FieldPath) -> bool:
    for step in path:
        try:
            tree = tree[step]
        except (LookupError, TypeError):
            return False
    return True


def parse_toml(text: str) -> dict[str, Any]:
    """Raises ValueError (TOMLDecodeError is one) and nothing else, whatever the text."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise BadInput("it is nested too deep") from None


def _parsed(text: str) -> Any:
    try:
        return parse_toml(text)
    except ValueError:
        return None
