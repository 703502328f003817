"""API keys: made once, shown once, and kept as hashes in a file that the service reads again when it changes.

A key is `gm1.ID.SECRET`. Its secret has 256 random bits, so that one SHA-256 keeps it: slow hashes are for passwords.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from annotated_types import MaxLen, MinLen

from geomatch.errors import BadInput
from geomatch.model import STRICT
from geomatch.model.adapters import adapter_of
from geomatch.quantities import Seconds, UnixTime
from geomatch.service.callers import Caller
from geomatch.service.scopes import Scope

PREFIX = "gm1."
ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
SHIFT_S: Seconds = 12 * 3600.0
NO_HASH = hashlib.sha256(b"").hexdigest()

Ids = Annotated[tuple[Annotated[str, MinLen(1), MaxLen(254)], ...], MinLen(1), MaxLen(1_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What may be done with it, and for whom; the secret itself is nowhere."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    id: str
    sha256: str
    """Of the secret, in hex."""
    agencies: Ids
    """Whose units and stops it may change, and as whom it sees others'. `*`: all of them."""
    scopes: tuple[Scope, ...]
    created: UnixTime
    expires: UnixTime | None = None
    revoked: UnixTime | None = None
    note: Annotated[str, MaxLen(254)] = ""
    """What it is for; no person's name."""

    def __post_init__(self) -> None:
        if not ID.fullmatch(self.id):
            raise BadInput("a key's id is 1 to 63 of a-z, 0-9, - and _, and begins with a letter or digit")
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise BadInput(f"key {self.id}: sha256 must be 64 hex digits: make keys with `geomatch keys new`")
        object.__setattr__(self, "scopes", tuple(Scope(scope) for scope in self.scopes))

    def refusal(self, now: UnixTime) -> str | None:
        """Why it is of no use any more; None: it is."""
        if self.revoked is not None and self.revoked <= now:
            return "revoked"
        if self.expires is not None and self.expires <= now:
            return "expired"
        return None

    @property
    def caller(self) -> Caller:
        return Caller(id=f"key:{self.id}", agencies=frozenset(self.agencies), scopes=frozenset(self.scopes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Somebody whose signed tokens (JWT) are taken, and for how much: no token is good for more than this."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    issuer: Annotated[str, MinLen(1), MaxLen(1_000)]
    """Its `iss`."""
    audience: Annotated[str, MinLen(1), MaxLen(1_000)]
    """This service, as `aud` names it."""
    jwks: Annotated[str, MinLen(1), MaxLen(1_000)]
    """Its public keys: a file beside this one, or an https URL (http on this machine alone)."""
    agencies: Ids
    scopes: tuple[Scope, ...]
    longest_s: Seconds = SHIFT_S
    """A token that is good for longer than this is refused: from when it was issued, or from now."""
    single_use: bool = False
    """Each token needs a `jti` and is taken once."""

    def __post_init__(self) -> None:
        if not 0.0 < self.longest_s <= 30 * 86_400.0:
            raise BadInput(f"issuer {self.issuer}: longest_s must be between 0 and 30 days")
        object.__setattr__(self, "scopes", tuple(Scope(scope) for scope in self.scopes))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    keys: tuple[Key, ...] = ()
    issuers: tuple[Issuer, ...] = ()

    def __post_init__(self) -> None:
        for name, ids in (("key", [key.id for key in self.keys]), ("issuer", [one.issuer for one in self.issuers])):
            if twice := {one for one in ids if ids.count(one) > 1}:
                raise BadInput(f"{name} {min(twice)} is in the file twice: give each its own id")

    def key(self, key_id: str) -> Key | None:
        return next((key for key in self.keys if key.id == key_id), None)


def read_keys(path: Path) -> KeyFile:
    """Raises BadInput, naming no secret, where it is no key file or others may write to it."""
    from pydantic import ValidationError

    raw, mode = path.read_bytes(), path.stat().st_mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise BadInput(f"{path.name}: others can write to it and so make keys: chmod 600 it")
    try:
        return adapter_of(KeyFile).validate_json(raw, strict=True)
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"{path.name}: {where or 'file'}: {first['msg'].removeprefix('Value error, ')}") from None


def write_keys(path: Path, keys: KeyFile) -> None:
    """Whole or not at all: the service may be reading it. Only its owner can read it."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(adapter_of(KeyFile).dump_json(keys, indent=2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def new_key(
    held: KeyFile,
    *,
    key_id: str,
    agencies: tuple[str, ...],
    scopes: tuple[Scope, ...],
    now: UnixTime,
    expires: UnixTime | None = None,
    note: str = "",
) -> tuple[KeyFile, str]:
    """The file with one more key, and the key itself, told this once. Raises BadInput where the id is taken."""
    if held.key(key_id) is not None:
        raise BadInput(f"key {key_id} is there already, perhaps revoked: give the new one another id")
    secret = secrets.token_urlsafe(32)
    key = Key(
        id=key_id, sha256=_hash(secret), agencies=agencies, scopes=scopes, created=now, expires=expires, note=note
    )
    return replace(held, keys=(*held.keys, key)), f"{PREFIX}{key_id}.{secret}"


def revoked(held: KeyFile, key_id: str, *, now: UnixTime) -> KeyFile:
    """Raises BadInput where there is no such key. It stays in the file, so that its id stays its own in the log."""
    if held.key(key_id) is None:
        raise BadInput(f"no key has the id {key_id}: see `geomatch keys list`")
    keys = tuple(replace(key, revoked=now) if key.id == key_id and key.revoked is None else key for key in held.keys)
    return replace(held, keys=keys)


def split(credential: str) -> tuple[str, str] | None:
    """Id and secret of what looks like a key; None: it is none."""
    if not credential.startswith(PREFIX):
        return None
    key_id, _, secret = credential[len(PREFIX) :].partition(".")
    return key_id, secret


def is_secret_of(key: Key | None, secret: str) -> bool:
    """Takes as long for a key that there is not as for one whose secret is wrong."""
    same = hmac.compare_digest(_hash(secret), key.sha256 if key else NO_HASH)
    return same and key is not None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
