"""Signed tokens (JWT) of issuers that the key file names: ES256 and EdDSA, and nothing else."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import logging
import urllib.request
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import KeySet

from geomatch.errors import BadInput, GeomatchError
from geomatch.quantities import Seconds, UnixTime
from geomatch.service.callers import EVERY_AGENCY, Caller
from geomatch.service.keys import Issuer
from geomatch.service.scopes import Scope

ALGORITHMS = ("ES256", "EdDSA", "Ed25519")
"""No RSA, which is slow to sign on devices, and nothing symmetric: this service could then make tokens itself."""
LEEWAY_S: Seconds = 30.0
"""Between two clocks."""
KEPT_S: Seconds = 60.0
"""A token that was checked is not checked again for so long: 2 us in place of 250."""
MOST_KEPT = 4_096
JWKS_EVERY_S: Seconds = 600.0
JWKS_AGAIN_S: Seconds = 30.0
"""A token with a key that nobody knows makes it look again, but no sooner than this."""
LONGEST_JWKS = 1024 * 1024
_log = logging.getLogger(__name__)

Fetch = Callable[[str], bytes]


class Denied(GeomatchError):
    """Credentials that are not good. `code` is for the log; `guessed`: as of somebody who tries them out."""

    def __init__(self, code: str, detail: str, *, guessed: bool) -> None:
        super().__init__(detail)
        self.code = code
        self.guessed = guessed


class Tokens:
    """Checks tokens. Any thread; a check may fetch an issuer's keys, so it is not for the event loop."""

    def __init__(self, issuers: tuple[Issuer, ...], folder: Path, *, fetch: Fetch | None = None) -> None:
        """Raises BadInput where the keys of an issuer cannot be read, or where they are is not to be trusted."""
        self._of = {one.issuer: (one, Jwks(one.jwks, folder, fetch or _fetch)) for one in issuers}
        self._kept: dict[bytes, tuple[Caller, UnixTime]] = {}
        self._used: dict[tuple[str, str], UnixTime] = {}
        self._using = Lock()

    @property
    def size(self) -> int:
        """Issuers."""
        return len(self._of)

    def known(self, token: str, now: UnixTime) -> Caller | None:
        """Who sent it, if it was checked a moment ago. About 1 us."""
        kept = self._kept.get(_digest(token))
        return kept[0] if kept and now < kept[1] else None

    def check(self, token: str, now: UnixTime) -> Caller:
        """Raises Denied."""
        issuer, keys = self._issuer_of(token)
        try:
            claims = jwt.decode(token, keys.for_token(token, now), algorithms=list(ALGORITHMS)).claims
            jwt.JWTClaimsRegistry(
                now=lambda: int(now), leeway=int(LEEWAY_S), iss={"essential": True, "value": issuer.issuer},
                aud={"essential": True, "value": issuer.audience}, exp={"essential": True},
            ).validate(claims)  # fmt: skip
        except ExpiredTokenError:
            raise Denied("expired_token", "the token has expired: get another", guessed=False) from None
        except JoseError as fault:
            raise Denied(f"bad_token:{fault.error}", "the token is not good here", guessed=True) from None
        except (ValueError, TypeError, KeyError, RecursionError):
            raise Denied("bad_token:malformed", "the token is not good here", guessed=True) from None
        caller = _caller(issuer, claims)
        ends = self._ends(issuer, claims, now)
        if issuer.single_use:
            self._use(issuer, claims, ends, now)
        else:
            self._keep(token, caller, min(ends, now + KEPT_S), now)
        return caller

    def _issuer_of(self, token: str) -> tuple[Issuer, Jwks]:
        """As the token says itself, before anything is proven: it only chooses the keys that it has to be signed by."""
        found = self._of.get(str(_unproven(token, 1).get("iss")))
        if found is None:
            raise Denied("unknown_issuer", "the token is not good here", guessed=True)
        return found

    def _ends(self, issuer: Issuer, claims: Mapping[str, Any], now: UnixTime) -> UnixTime:
        ends, begins = float(claims["exp"]), float(claims.get("iat", now))
        if ends - begins > issuer.longest_s or ends - now > issuer.longest_s + LEEWAY_S:
            raise Denied("long_token", "the token is good for longer than this service allows", guessed=False)
        return ends + LEEWAY_S

    def _keep(self, token: str, caller: Caller, until: UnixTime, now: UnixTime) -> None:
        if len(self._kept) >= MOST_KEPT:
            self._kept = {digest: kept for digest, kept in list(self._kept.items()) if kept[1] > now}
            if len(self._kept) >= MOST_KEPT:
                self._kept = {}
        self._kept[_digest(token)] = (caller, until)

    def _use(self, issuer: Issuer, claims: Mapping[str, Any], ends: UnixTime, now: UnixTime) -> None:
        name = claims.get("jti")
        if not isinstance(name, str) or not 1 <= len(name) <= 254:
            raise Denied("no_jti", "a token that is good once needs a jti", guessed=False)
        with self._using:
            self._used = {used: until for used, until in self._used.items() if until > now}
            if (issuer.issuer, name) in self._used:
                raise Denied("replayed", "the token was used before: get another", guessed=True)
            self._used[issuer.issuer, name] = ends


class Jwks:
    """The public keys of an issuer: of a file that may change, or of a URL that is asked again and again."""

    def __init__(self, place: str, folder: Path, fetch: Fetch) -> None:
        self._url = place if "://" in place else None
        self._file = folder / place
        self._fetch = fetch
        self._read_at = self._tried_at = 0.0
        self._mtime_ns = 0
        self._keys = KeySet([])
        self._reading = Lock()
        if self._url is not None:
            check_url(self._url)
        else:
            self._read_file()

    def for_token(self, token: str, now: UnixTime) -> KeySet:
        """Fetched again when they are old, or when they lack the key that the token names."""
        with self._reading:
            if self._url is None:
                if self._file.stat().st_mtime_ns != self._mtime_ns:
                    self._read_file()
                return self._keys
            named = _unproven(token, 0).get("kid")
            lacking = not any(named in (None, key.kid) for key in self._keys.keys)
            wait_s = JWKS_AGAIN_S if lacking else JWKS_EVERY_S
            if now - max(self._read_at, self._tried_at if lacking else 0.0) >= wait_s and now != self._tried_at:
                self._tried_at = now
                self._read_url(self._url, now)
            return self._keys

    def _read_file(self) -> None:
        self._mtime_ns = self._file.stat().st_mtime_ns
        self._keys = _key_set(self._file.read_bytes(), self._file.name)

    def _read_url(self, url: str, now: UnixTime) -> None:
        try:
            self._keys = _key_set(self._fetch(url), "the issuer's JWKS")
            self._read_at = now
        except (OSError, BadInput) as fault:
            # Those it had stay good: an issuer that is down must not take the dispatch down with it.
            _log.warning("keys of an issuer could not be fetched: %s", type(fault).__name__)


def check_url(url: str) -> None:
    """Raises BadInput where somebody on the way could put in keys of their own."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise BadInput("a JWKS is fetched by https, or from this machine: correct jwks in the key file")


def _key_set(raw: bytes, name: str) -> KeySet:
    try:
        told = json.loads(raw)
        public = [
            {field: value for field, value in key.items() if field != "d"}
            for key in told["keys"]
            if key.get("kty") in ("EC", "OKP") and key.get("use", "sig") == "sig"
        ]
        return KeySet.import_key_set({"keys": public})
    except (ValueError, TypeError, KeyError, AttributeError, JoseError):
        raise BadInput(f"{name} is no JWKS, or has no key that can be used: EC and OKP keys are") from None


def _caller(issuer: Issuer, claims: Mapping[str, Any]) -> Caller:
    said = claims.get("agencies", claims.get("agency", ()))
    agencies = frozenset([said] if isinstance(said, str) else _words(said))
    beyond = agencies - set(issuer.agencies) if EVERY_AGENCY not in issuer.agencies else frozenset()
    if not agencies or beyond:
        raise Denied("wrong_agency", "the token names no agency, or one its issuer may not speak for", guessed=False)
    words = claims.get("scope", ())
    words = words.split() if isinstance(words, str) else _words(words)
    # An issuer has scopes of its own, as openid: they mean nothing here.
    scopes = frozenset(scope for scope in issuer.scopes if scope in words)
    subject = str(claims.get("sub", ""))[:100]
    return Caller(id=f"jwt:{issuer.issuer[:100]}:{subject}", agencies=agencies, scopes=frozenset(map(Scope, scopes)))


def _words(said: Any) -> list[str]:
    return [one for one in said if isinstance(one, str)] if isinstance(said, list) else []


def _unproven(token: str, part: int) -> Mapping[str, Any]:
    """Header or claims as they stand there. Raises Denied."""
    parts = token.split(".")
    if len(parts) == 3:
        try:
            told = json.loads(urlsafe_b64decode(parts[part] + "=" * (-len(parts[part]) % 4)))
        except (ValueError, RecursionError):
            told = None
        if isinstance(told, dict):
            return told
    raise Denied("malformed", "send a key of this service, or a signed token", guessed=True)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5.0) as answer:  # noqa: S310 - its scheme was checked with the key file
        raw: bytes = answer.read(LONGEST_JWKS + 1)
    if len(raw) > LONGEST_JWKS:
        raise BadInput("too long for a JWKS")
    return raw
