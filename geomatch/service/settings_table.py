"""The settings of the service, told from their own types: what each is called, what it may be, and what it means."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt


@dataclass(frozen=True, kw_only=True)
class Row:
    name: str
    """As `watch.closer_by_s`."""
    kind: str
    default: Any
    """Plain JSON; None: there is none, it must be given."""
    meaning: str


def rows(kind: type[Any], prefix: str = "") -> Iterator[Row]:
    """Every setting of a dataclass, those of dataclasses within it under their field's name; of a list of them `[]`."""
    types, meanings = get_type_hints(kind, include_extras=True), _docstrings(kind)
    for one in fields(kind):
        name, of = f"{prefix}{one.name}", types[one.name]
        inner = next((part for part in (of, *get_args(of)) if isinstance(part, type) and is_dataclass(part)), None)
        if inner is not None:
            yield from rows(inner, f"{name}." if inner is of else f"{name}[].")
            continue
        yield Row(name=name, kind=_kind(of), default=_plain(_default(one)), meaning=meanings.get(one.name, ""))


def _docstrings(kind: type[Any]) -> Mapping[str, str]:
    """By field, from the source: Python keeps none of them."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - for the type checker
    told = {}
    for field_, after in zip(body.body, body.body[1:], strict=False):
        if not (isinstance(field_, ast.AnnAssign) and isinstance(field_.target, ast.Name)):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            told[field_.target.id] = " ".join(str(after.value.value).split())
    return told


def _kind(of: Any) -> str:
    """In words: `whole number, at least 1`, `list of text`, `number by one of a, b`."""
    if hasattr(of, "__metadata__"):
        base, *limits = get_args(of)
        said = [
            f"{word} {getattr(limit, name):g}" for limit in limits for one, name, word in _LIMITS if type(limit) is one
        ]
        return ", ".join([_kind(base), *said])
    if get_origin(of) is tuple:
        return f"list of {_kind(get_args(of)[0])}"
    if get_origin(of) is Mapping:
        key, value = get_args(of)
        return f"{_kind(value)} by {_kind(key)}"
    if isinstance(of, type) and issubclass(of, Enum):
        return f"one of {', '.join(one.value for one in of)}"
    return _WORDS.get(of, str(of))


_LIMITS = ((Ge, "ge", "at least"), (Gt, "gt", "above"), (Le, "le", "at most"), (Lt, "lt", "below"))
_WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text"}


def _default(one: Field[Any]) -> Any:
    if one.default_factory is not MISSING:
        return one.default_factory()
    return None if one.default is MISSING else one.default


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [_plain(inner) for inner in value]
    return value.value if isinstance(value, Enum) else value
