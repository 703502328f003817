"""XML from outside, as a flat list of elements: all that Cursor on Target and PIDF-LO need.

A document type is refused where it begins, so no entity is ever declared, expanded or fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.parsers import expat

from geomatch.feeds.parsed import BadMessage, malformed

DEEPEST = 64


@dataclass(frozen=True, slots=True)
class Element:
    name: str
    """Without its namespace: senders agree on names more than on prefixes."""
    attributes: Mapping[str, str]
    text: str
    """Right inside it, without its children's."""


def elements(raw: bytes) -> list[Element]:
    """Every element of a document, in the order they end, so the root is last. Raises BadMessage."""
    out: list[Element] = []
    open_: list[tuple[str, dict[str, str], list[str]]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(open_) == DEEPEST:
            raise malformed("is XML nested too deep")
        open_.append((name.rpartition(" ")[2], attributes, []))

    def end(_name: str) -> None:
        name, attributes, text = open_.pop()
        out.append(Element(name, attributes, "".join(text).strip()))

    def refuse(*_: object) -> None:
        raise malformed("has a document type; leave the DOCTYPE out")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = lambda text: open_[-1][2].append(text) if open_ else None
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(raw, True)  # noqa: FBT003 - it takes no keyword: this is all there is
    except expat.ExpatError as fault:
        reason = expat.ErrorString(fault.code)
        raise malformed(f"is not XML: {reason} in line {fault.lineno}, column {fault.offset + 1}") from None
    except BadMessage:
        raise
    except (LookupError, ValueError):
        # An encoding that Python does not know, or that has more than one byte a letter.
        raise malformed("is XML in an encoding that is not read; send UTF-8") from None
    return out
