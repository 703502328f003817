"""Agreements from TOML: what is wrong is told with file, line and field, and nothing is half-loaded.

format = 1

[[area]]                      # optional: areas the agreements draw themselves, in degrees, longitude first
name = "bridge"
line = [[-100.01, 44.5], [-99.99, 44.5]]

[[agreement]]                 # one directed grant; its fields are those of `geomatch.aid.agreements.Agreement`
id = "riverton-campus"
version = 1
...
[agreement.limits]
max_units_at_once = 2
"""

from __future__ import annotations

import json
import tomllib
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from datetime import date, datetime, time
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from geomatch.aid import clauses
from geomatch.aid.agreements import Agreement, Agreements
from geomatch.aid.clauses import Drawn
from geomatch.aid.windows import Window
from geomatch.errors import BadInput, BadMap

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

FORMAT = 1
_LARGEST_BYTES = 16_000_000

_Row = TypeVar("_Row")
FieldPath: TypeAlias = tuple[str | int, ...]


def read_agreements(paths: Iterable[Path | str], *, known_agencies: Collection[str] | None = None) -> Agreements:
    """All grants of these files; a folder stands for the .toml files in it. Raises BadMap.

    Agencies outside `known_agencies`, areas that are drawn nowhere and reciprocals that are not the way back are
    refused too.
    """
    documents = [_Document(path) for path in _files(paths)]
    read = [(document, row, grant) for document in documents for row, grant in enumerate(document.agreements())]
    areas = [area for document in documents for area in document.areas()]
    drawn = {area.name for area in areas}
    by_id = {grant.id: grant for _, _, grant in read}
    for document, row, grant in read:
        if fault := _fault_of(grant, drawn, by_id, known_agencies):
            raise document.error(("agreement", row, *fault[0]), fault[1])
    try:
        return Agreements((grant for _, _, grant in read), areas)
    except BadInput as fault:
        raise BadMap(f"{', '.join(str(document.path) for document in documents)}: {fault}") from None


class _Document:
    """One file, parsed; knows its lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if path.stat().st_size > _LARGEST_BYTES:
                raise BadMap(f"{path} is larger than {_LARGEST_BYTES // 1_000_000} MB: split it into several files")
            self.text = path.read_text(encoding="utf-8")
            self.tree = tomllib.loads(self.text)
        except OSError as fault:
            raise BadMap(f"{path} cannot be read ({fault.strerror}): check the name and who may read it") from None
        except UnicodeDecodeError:
            raise BadMap(f"{path} is not UTF-8 text: save it as UTF-8") from None
        except (tomllib.TOMLDecodeError, RecursionError) as fault:
            raise BadMap(f"{path} is not TOML: {str(fault)[:200]}") from None
        if self.tree.get("format") != FORMAT:
            raise self.error(("format",), f"must be {FORMAT}, the format this version reads")
        for key in self.tree:
            if key not in ("format", "agreement", "area"):
                raise self.error((key,), f"is not known here; write [[agreement]] or [[area]]{_near(key, _TOP)}")

    def agreements(self) -> list[Agreement]:
        return self._rows("agreement", Agreement)

    def areas(self) -> list[Drawn]:
        return self._rows("area", Drawn)

    def _rows(self, key: str, kind: type[_Row]) -> list[_Row]:
        from pydantic import TypeAdapter, ValidationError

        rows = self.tree.get(key, [])
        if not isinstance(rows, list):
            raise self.error((key,), f"is one table; write [[{key}]], in double brackets")
        adapter: TypeAdapter[list[_Row]] = TypeAdapter(list[kind])  # type: ignore[valid-type]  # known at run time
        try:
            return adapter.validate_json(json.dumps(rows, default=_rfc3339), strict=True)
        except ValidationError as faults:
            errors = faults.errors(include_url=False, include_input=False)
            first = errors[0]
            more = f" ({len(errors) - 1} more faults in this file)" if len(errors) > 1 else ""
            path = (key, *first["loc"])
            raise self.error(path, _said(first, kind) + more) from None

    def error(self, path: FieldPath, said: str) -> BadMap:
        line = _line(self.text, path)
        name = ".".join(str(step) for step in path if not isinstance(step, int))
        return BadMap(f"{self.path}, line {line}, {name}: {said}")


_TOP = ("agreement", "area", "format")


def _files(paths: Iterable[Path | str]) -> list[Path]:
    files: list[Path] = []
    for path in map(Path, paths):
        found = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        if not found:
            raise BadMap(f"{path} holds no .toml file: name a file, or put the agreements there")
        files += found
    return files


def _fault_of(
    grant: Agreement, drawn: set[str], by_id: dict[str, Agreement], known_agencies: Collection[str] | None
) -> tuple[FieldPath, str] | None:
    for name in ("provider_agency", "receiver_agency"):
        agency = getattr(grant, name)
        if known_agencies is not None and agency not in known_agencies:
            near = _near(agency, list(known_agencies))
            return (name,), f"{agency!r} is on no loaded map; add it to the jurisdictions, or correct it{near}"
    within = () if grant.authority_within is None else (grant.authority_within,)
    for area in (*grant.geography.areas, *within):
        if area.startswith("area:") and area[5:] not in drawn:
            field = "authority_within" if area in within else "geography"
            return (field,), f"{area!r} is drawn in no file; add an [[area]] of that name{_near(area[5:], list(drawn))}"
    if grant.reciprocal_with is not None:
        other = by_id.get(grant.reciprocal_with)
        if other is None:
            return ("reciprocal_with",), f"no agreement {grant.reciprocal_with!r} is in these files; load its file too"
        if (other.provider_agency, other.receiver_agency) != (grant.receiver_agency, grant.provider_agency):
            return ("reciprocal_with",), f"{other.id!r} is not the way back: its agencies must be these two, swapped"
    return None


def _rfc3339(moment: datetime | date | time) -> str:
    """TOML's times as JSON has them: strict reading then tells 2 from "2" and from true."""
    return moment.isoformat()


def _said(error: ErrorDetails, kind: type[Any]) -> str:
    field = str(error["loc"][-1]) if error["loc"] else ""
    match error["type"]:
        case "missing" | "missing_argument" | "missing_keyword_only_argument":
            return "is missing; every agreement says it" if kind is Agreement else "is missing; add it"
        case "unexpected_keyword_argument" | "extra_forbidden":
            return f"is no field of this table{_near(field, _field_names())}; correct it, or take it out"
        case "value_error":
            return str(error["ctx"]["error"])
    return error["msg"].replace("Input should be", "must be").replace("Input must", "must")


def _field_names() -> list[str]:
    kinds: list[Any] = [Agreement, Drawn, Window]
    kinds += [kind for kind in vars(clauses).values() if hasattr(kind, "__dataclass_fields__")]
    return sorted({field.name for kind in kinds for field in fields(kind)})


def _near(word: str, known: Sequence[str]) -> str:
    found = get_close_matches(word, known, n=1)
    return f" (did you mean {found[0]!r}?)" if found else ""


def _line(text: str, path: FieldPath) -> int:
    """Where the value at `path` is written, counted from 1; of a missing field, where its table begins.

    No TOML reader in use tells lines, so the text is read again by its beginnings: the first lines that hold the value
    end with it, and it begins after the last lines that do not. Done only for an error; about 20 readings.
    """
    lines = text.splitlines(keepends=True)
    while path and not _holds(tomllib.loads(text), path):
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


def _parsed(text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
