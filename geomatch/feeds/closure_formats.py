"""The formats of closures by name, and which one a message is in."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from geomatch.errors import BadInput
from geomatch.feeds import cifs, values, wzdx
from geomatch.feeds.closures import ALL_MODES, Item, Told, read_items
from geomatch.feeds.parsed import malformed
from geomatch.model.adapters import adapter_of
from geomatch.model.closures import Closure, ClosureOutcome
from geomatch.quantities import DrivingMode


class ClosureFormat(StrEnum):
    geomatch = "geomatch"
    """The API's own."""
    wzdx = "wzdx"
    cifs = "cifs"


def read(
    raw: bytes,
    *,
    form: ClosureFormat | None = None,
    source: str | None = None,
    modes: Sequence[DrivingMode] = ALL_MODES,
) -> tuple[str, tuple[Item, ...]]:
    """Whose a message is, and its items. Raises BadMessage where it is not of its format, or of none that is known."""
    if raw.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        if form not in {None, ClosureFormat.cifs}:
            raise malformed(f"it is XML, and {form} is JSON")
        told = Told(source=source or "cifs", modes=tuple(modes))
        return told.source, cifs.parse_xml(raw, told)
    document = values.document(raw)
    form = form or _form_of(document)
    if form is ClosureFormat.wzdx:
        told = Told(source=source or wzdx.publisher(document), modes=tuple(modes))
        return told.source, wzdx.parse(document, told)
    if form is ClosureFormat.cifs:
        told = Told(source=source or "cifs", modes=tuple(modes))
        return told.source, cifs.parse(document, told)
    told = Told(source=source or "file", modes=tuple(modes))
    return told.source, _own(document, told)


def _form_of(document: Any) -> ClosureFormat:
    if wzdx.is_wzdx(document):
        return ClosureFormat.wzdx
    if cifs.is_cifs(document):
        return ClosureFormat.cifs
    if isinstance(document, dict) and "closures" in document:
        return ClosureFormat.geomatch
    raise malformed("it is neither WZDx (feed_info), nor CIFS (incidents), nor geomatch's own (closures)")


def _own(document: Any, told: Told) -> tuple[Item, ...]:
    if not isinstance(document, dict) or not isinstance(document.get("closures"), list):
        raise malformed('it must be {"closures": [...]}')
    return read_items(((f"closures[{n}]", one) for n, one in enumerate(document["closures"])), _own_item, told)


def _own_item(value: Any, told: Told) -> Item:
    from pydantic import ValidationError

    if not isinstance(value, dict):
        raise malformed("it must be an object")
    try:
        closure = adapter_of(Closure).validate_python({"source": told.source} | value)
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return Item(
            id=str(value.get("id"))[:200], outcome=ClosureOutcome.faulty, detail=f"{where} {first['msg']}".strip()
        )
    except BadInput as fault:
        return Item(id=str(value.get("id"))[:200], outcome=ClosureOutcome.faulty, detail=str(fault))
    return Item(id=closure.id, closure=closure)
