"""Signed tokens: made here by another library than the one that checks them, and forged in every way known."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from doors import OWN, SHY, STRANGER, Service, full_matcher
from service_town import NOW

from geomatch.errors import BadInput
from geomatch.service.keys import Issuer
from geomatch.service.scopes import Scope
from geomatch.service.tokens import Tokens

pytest_plugins = ("service_town",)
ISS, AUD = "https://login.county.example", "geomatch.county.example"
EC, ED = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
OTHER = ec.generate_private_key(ec.SECP256R1())
JUST = {"iss": ISS, "aud": AUD, "sub": "cad-7", "agency": OWN, "scope": "openid rankings:read stops:write"}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(message: bytes, key) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def token(key=EC, header=None, sign=signed, **claims) -> str:
    alg, kid = ("EdDSA", "ed") if isinstance(key, ed25519.Ed25519PrivateKey) else ("ES256", "ec")
    head = {"alg": alg, "kid": kid} | (header or {})
    body = JUST | {"iat": NOW, "exp": NOW + 600} | claims
    body = {name: value for name, value in body.items() if value is not None}
    message = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(body).encode())}"
    return f"{message}.{b64(sign(message.encode(), key))}"


def jwk(key, kid) -> dict:
    public = key.public_key()
    if isinstance(key, ed25519.Ed25519PrivateKey):
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return {"kty": "OKP", "crv": "Ed25519", "x": b64(raw), "kid": kid, "use": "sig"}
    numbers = public.public_numbers()
    x, y = (b64(one.to_bytes(32, "big")) for one in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid}


JWKS = {"keys": [jwk(EC, "ec"), jwk(ED, "ed")]}
READ = (Scope.rankings_read, Scope.stops_write)


@pytest.fixture
def service(town, tmp_path):
    (tmp_path / "jwks.json").write_text(json.dumps(JWKS))
    issuer = Issuer(issuer=ISS, audience=AUD, jwks="jwks.json", agencies=(OWN, SHY), scopes=READ)
    return Service(full_matcher(town), tmp_path, issuers=[issuer]).open()


def status(service, credential, path="/v1/units", method="GET", address="10.0.0.7") -> int:
    return service.ask(method, path, key=credential, address=address).status


@pytest.mark.parametrize("key", [EC, ED], ids=["ES256", "EdDSA"])
def test_a_token_lets_its_agency_in_for_its_scopes(service, key):
    assert status(service, token(key)) == 200
    assert status(service, token(key, agency=None, agencies=[OWN, SHY])) == 200
    assert status(service, token(key, agency=STRANGER)) == 401  # the issuer does not speak for it
    assert status(service, token(key, agency="*")) == 401
    assert status(service, token(key, agency=None)) == 401
    assert status(service, token(key, scope="openid")) == 403
    assert status(service, token(key, scope="rankings:read metrics:read"), "/metrics") == 403  # its issuer has less


def hs256(message: bytes, _key) -> bytes:
    secret = EC.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hmac.new(secret, message, hashlib.sha256).digest()


def rs256(message: bytes, _key) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import padding

    return rsa.generate_private_key(65537, 2048).sign(message, padding.PKCS1v15(), hashes.SHA256())


FORGED = {
    "signed by another": lambda: token(OTHER),
    "not signed": lambda: token(header={"alg": "none"}, sign=lambda *_: b""),
    "alg none, with a signature": lambda: token(header={"alg": "none"}),
    "the public key as a secret": lambda: token(header={"alg": "HS256"}, sign=hs256),
    "RSA": lambda: token(header={"alg": "RS256"}, sign=rs256),
    "brings its own key": lambda: token(OTHER, header={"jwk": jwk(OTHER, "ec")}),
    "says where its key is": lambda: token(OTHER, header={"jku": "http://127.0.0.1:9/jwks", "kid": "x"}),
    "a key id that is a path": lambda: token(OTHER, header={"kid": "../../etc/passwd"}),
    "the other kind of key": lambda: token(header={"kid": "ed"}),
    "critical header": lambda: token(header={"crit": ["exp"]}),
    "another audience": lambda: token(aud="elsewhere.example"),
    "no audience": lambda: token(aud=None),
    "another issuer": lambda: token(iss="https://evil.example"),
    "no issuer": lambda: token(iss=None),
    "an issuer that is a list": lambda: token(iss=[ISS]),
    "no end": lambda: token(exp=None),
    "an end that is text": lambda: token(exp="tomorrow"),
    "over": lambda: token(exp=NOW - 60, iat=NOW - 600),
    "not yet": lambda: token(nbf=NOW + 600),
    "issued in the future": lambda: token(iat=NOW + 600, exp=NOW + 900),
    "good for a year": lambda: token(exp=NOW + 365 * 86400),
    "long, and dated back": lambda: token(iat=NOW - 365 * 86400, exp=NOW + 600),
    "claims changed": lambda: ".".join([token().split(".")[0], token(agency=SHY).split(".")[1], token().split(".")[2]]),
    "an empty signature": lambda: token().rpartition(".")[0] + ".",
    "deep claims": lambda: "e30." + b64(b"[" * 3000) + ".x",
    "four parts": lambda: token() + ".x",
    "agencies that are numbers": lambda: token(agency=None, agencies=[1, None]),
    "agencies that are a number": lambda: token(agency=None, agencies=7),
    "scopes that are a number": lambda: token(scope=7),
}  # fmt: skip


@pytest.mark.parametrize("forgery", list(FORGED))
def test_no_forged_or_stale_token_opens_a_door(service, forgery):
    answer = service.ask("GET", "/v1/units", key=FORGED[forgery]())
    assert answer.status in {401, 403}, answer.text
    assert "fix" not in answer.text


def test_a_token_that_was_good_is_not_when_it_is_over(service):
    one = token(exp=NOW + 40)
    assert status(service, one) == 200
    service.now = NOW + 75  # and the leeway between two clocks
    assert status(service, one) == 401


def test_an_expired_token_locks_nobody_out_and_a_forged_one_does(service):
    assert [status(service, token(exp=NOW - 60, iat=NOW - 90)) for _ in range(7)] == [401] * 7
    assert status(service, token()) == 200
    assert [status(service, token(OTHER)) for _ in range(6)] == [401] * 5 + [429]


def test_a_single_use_token_is_taken_once(town, tmp_path):
    (tmp_path / "jwks.json").write_text(json.dumps(JWKS))
    issuer = Issuer(issuer=ISS, audience=AUD, jwks="jwks.json", agencies=(OWN,), scopes=READ, single_use=True)
    service = Service(full_matcher(town), tmp_path, issuers=[issuer])
    one = token(jti="1")
    assert [status(service, one), status(service, one)] == [200, 401]
    assert status(service, token(jti="2")) == 200
    assert status(service, token()) == 401  # without a name it cannot be told from its copy


def test_keys_of_an_issuer_are_fetched_again_when_it_has_new_ones_but_not_for_every_guess(town, tmp_path):
    asked, there = [], {"keys": [jwk(ED, "ed")]}

    def fetch(url):
        asked.append(url)
        return json.dumps(there).encode()

    issuer = Issuer(issuer=ISS, audience=AUD, jwks="https://login.example/jwks", agencies=(OWN,), scopes=READ)
    service = Service(full_matcher(town), tmp_path, issuers=[issuer], fetch=fetch).open()
    assert status(service, token(ED)) == 200
    assert len(asked) == 1
    assert [status(service, token(), address=f"10.9.0.{n}") for n in range(3)] == [401] * 3
    assert len(asked) == 1
    there["keys"].append(jwk(EC, "ec"))
    service.now += 31
    assert status(service, token()) == 200
    assert len(asked) == 2


def test_an_issuer_that_is_down_takes_nobody_down_with_it(town, tmp_path):
    up = [True]

    def fetch(_url):
        if not up[0]:
            raise OSError
        return json.dumps(JWKS).encode()

    issuer = Issuer(issuer=ISS, audience=AUD, jwks="https://login.example/jwks", agencies=(OWN,), scopes=READ)
    service = Service(full_matcher(town), tmp_path, issuers=[issuer], fetch=fetch).open()
    assert status(service, token()) == 200
    up[0] = False
    service.now += 700
    assert status(service, token(exp=service.now + 60, iat=service.now)) == 200


def test_keys_are_not_fetched_in_clear_text_from_another_machine(tmp_path):
    issuer = Issuer(issuer=ISS, audience=AUD, jwks="http://login.example/jwks", agencies=(OWN,), scopes=READ)
    with pytest.raises(BadInput, match="https"):
        Tokens((issuer,), tmp_path)
    (tmp_path / "none.json").write_text('{"keys": [{"kty": "RSA", "n": "x", "e": "AQAB"}]}')
    for jwks in ("none.json", "missing.json"):
        with pytest.raises((BadInput, OSError)):
            Tokens((Issuer(issuer=ISS, audience=AUD, jwks=jwks, agencies=(OWN,), scopes=READ),), tmp_path)
