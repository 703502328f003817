"""Both agencies' signatures under the terms of an agreement: Ed25519, over one canonical text.

The text is everything the agreement says, with the areas it names as its file draws them; not its status, so that
suspending needs no new signature, and not the signatures. A prohibition needs one of the two: either agency may forbid.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from geomatch.aid.agreements import Agreement
from geomatch.aid.clauses import Drawn, Mode
from geomatch.aid.toml_files import parse_toml
from geomatch.errors import BadInput, BadMap

_PURPOSE = b"geomatch agreement terms 1\n"


def terms(agreement: Agreement, areas: Mapping[str, Drawn]) -> bytes:
    """The text that is signed: JSON with sorted keys, the same on every machine. `areas` are those of its file."""
    said = asdict(agreement)
    del said["status"], said["signoffs"]
    named = {name[5:] for name in agreement.areas if name.startswith("area:")}
    said["areas"] = {name: asdict(areas[name]) for name in named}
    return _PURPOSE + json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode()


def sign(agreement: Agreement, areas: Mapping[str, Drawn], private_key: bytes) -> str:
    """A signature for the file, by an agency's 32-byte private key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return b64encode(Ed25519PrivateKey.from_private_bytes(private_key).sign(terms(agreement, areas))).decode()


def signed_by(agreement: Agreement, areas: Mapping[str, Drawn], keys: Mapping[str, bytes]) -> tuple[str, ...]:
    """Which of the two agencies have signed these very terms. A signature that does not verify counts for nothing."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    text = terms(agreement, areas)
    found = []
    for agency in (agreement.provider_agency, agreement.receiver_agency):
        for signoff in agreement.signoffs:
            if signoff.agency != agency or agency not in keys:
                continue
            try:
                Ed25519PublicKey.from_public_bytes(keys[agency]).verify(_bytes(signoff.signature), text)
            except InvalidSignature:
                continue
            found.append(agency)
            break
    return tuple(found)


def missing_signoffs(agreement: Agreement, areas: Mapping[str, Drawn], keys: Mapping[str, bytes]) -> tuple[str, ...]:
    """Agencies that must still sign before it may be active; empty: it may."""
    signed = signed_by(agreement, areas, keys)
    if agreement.mode == Mode.prohibited and signed:
        return ()
    return tuple(one for one in (agreement.provider_agency, agreement.receiver_agency) if one not in signed)


def read_keys(path: Path | str) -> dict[str, bytes]:
    """Public keys by agency, from a TOML file: [keys], then "agency" = "base64". Raises BadMap."""
    try:
        table = parse_toml(Path(path).read_text(encoding="utf-8")).get("keys")
    except (OSError, ValueError) as fault:
        raise BadMap(
            f"{path} is no file of keys ({type(fault).__name__}): check its name, and that it is TOML"
        ) from None
    if not isinstance(table, dict) or not table:
        raise BadMap(f'{path} has no [keys]: write a line "agency" = "base64 of its public key" for each agency')
    keys = {agency: _bytes(text) for agency, text in table.items()}
    for agency, key in keys.items():
        if len(key) != 32:
            raise BadMap(f"{path}: the key of {agency} is no Ed25519 public key, which has 32 bytes; export it again")
    return keys


def _bytes(text: object) -> bytes:
    try:
        return b64decode(str(text), validate=True)
    except ValueError:
        raise BadInput("a key or a signature must be base64") from None
