"""Raw bytes at a real socket: whatever a head or a framing says, no 5xx, no second answer; and it serves on."""

from __future__ import annotations

import json
import re
import socket
import threading
from contextlib import contextmanager

import pytest
from doors import OWN, Service, full_matcher
from service_town import STOP

from geomatch.service.serve import listen, server

pytest_plugins = ("service_town",)
BODY = json.dumps({"stop": STOP | {"agency": OWN}}).encode()


@contextmanager
def listening(app):
    with listen("127.0.0.1", 0) as listener:
        running = server(app)
        running.config.timeout_graceful_shutdown = 1
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            running.should_exit = True
            thread.join(20.0)
            assert not thread.is_alive()


@pytest.fixture(scope="module")
def service(town, tmp_path_factory) -> Service:
    return Service(full_matcher(town), tmp_path_factory.mktemp("wire"))


@pytest.fixture(scope="module")
def key(service) -> bytes:
    return service.key("cad").encode()


@pytest.fixture(scope="module")
def port(service, key):
    with listening(service.open().app) as number:
        ranked(number, key)  # compiled here where it was not before
        yield number


def send(port: int, raw: bytes) -> bytes:
    """All that comes back until the service closes, or has nothing more to say to half a request."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as wire:
        wire.sendall(raw)
        wire.shutdown(socket.SHUT_WR)
        told = b""
        try:
            while part := wire.recv(65_536):
                told += part
        except ConnectionResetError:
            pass
    return told


def post(*heads: bytes, key: bytes | None = None, body: bytes = BODY, path: bytes = b"/v1/rankings") -> bytes:
    own = [b"host: t", b"connection: close", *heads]
    own += [] if key is None else [b"authorization: Bearer " + key]
    return b"POST " + path + b" HTTP/1.1\r\n" + b"\r\n".join(own) + b"\r\n\r\n" + body


def ranked(port: int, key: bytes) -> None:
    told = send(port, post(b"content-type: application/json", b"content-length: %d" % len(BODY), key=key))
    assert told.startswith(b"HTTP/1.1 200"), told
    assert b'"candidates"' in told


JSON, LENGTH = b"content-type: application/json", b"content-length: %d" % len(BODY)
SMUGGLED = b"0\r\n\r\nGET /v1/units HTTP/1.1\r\nhost: t\r\n\r\n"
TRICKS = {
    "two lengths": post(JSON, LENGTH, b"content-length: 5"),
    "lengths in a list": post(JSON, b"content-length: 5, %d" % len(BODY)),
    "a negative length": post(JSON, b"content-length: -1"),
    "a length of 30 digits": post(JSON, b"content-length: " + b"9" * 30),
    "a length in hex": post(JSON, b"content-length: 0x10"),
    "a length and chunks": post(JSON, LENGTH, b"transfer-encoding: chunked", body=SMUGGLED),
    "chunked twice": post(JSON, b"transfer-encoding: chunked, chunked", body=SMUGGLED),
    "chunked, badly written": post(JSON, b"transfer-encoding: xchunked", body=SMUGGLED),
    "chunked behind a tab": post(JSON, b"transfer-encoding:\tchunked", b"transfer-encoding: identity", body=SMUGGLED),
    "a chunk of no size": post(JSON, b"transfer-encoding: chunked", body=b"zz\r\n{}\r\n0\r\n\r\n"),
    "a chunk of endless size": post(JSON, b"transfer-encoding: chunked", body=b"f" * 40 + b"\r\n{}"),
    "a body that ends early": post(JSON, b"content-length: 9999"),
    "no body at all": post(JSON, LENGTH, body=b""),
    "a head of 200 kB": post(JSON, b"x: " + b"x" * 200_000),
    "5,000 heads": post(JSON, *(b"x-%d: 1" % n for n in range(5_000))),
    "a nul in a head": post(JSON, LENGTH, b"x: a\x00b"),
    "a line break in a head": post(JSON, LENGTH, b"x: a\rb"),
    "a folded head": post(JSON, LENGTH, b"x: a\r\n authorization: Bearer x"),
    "a space before the colon": post(JSON, LENGTH, b"authorization : Bearer x"),
    "a head without a name": post(JSON, LENGTH, b": x"),
    "no host": b"POST /v1/rankings HTTP/1.1\r\n" + JSON + b"\r\n\r\n",
    "two hosts": post(JSON, LENGTH, b"host: evil.example"),
    "a host that is none": post(JSON, LENGTH).replace(b"host: t", b"host: a b/\\@:99999"),
    "another's whole address": post(JSON, LENGTH, path=b"http://evil.example/v1/units"),
    "a path of 100 kB": post(JSON, LENGTH, path=b"/v1/units/" + b"x" * 100_000),
    "bytes in a path": post(JSON, LENGTH, path=b"/v1/\xff\xfe"),
    "an escape that is none": post(JSON, LENGTH, path=b"/v1/units/%zz%00%ff"),
    "forwarded for another": post(JSON, LENGTH, b"x-forwarded-for: 10.0.0.1", b"forwarded: for=127.0.0.1"),
    "forwarded for nobody": post(JSON, LENGTH, b"x-forwarded-for: \xff,,,:", b"x-forwarded-proto: javascript"),
    "http/0.9": b"GET /v1/units\r\n\r\n",
    "http/9.9": b"GET /v1/units HTTP/9.9\r\nhost: t\r\n\r\n",
    "http/2 unasked": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an upgrade": post(JSON, LENGTH, b"upgrade: h2c", b"connection: upgrade"),
    "a method that is none": b"\x00\x01 / HTTP/1.1\r\n\r\n",
    "tls": bytes.fromhex("16030100f1010000ed0303") + b"\x00" * 200,
    "nothing": b"",
    "line breaks": b"\r\n" * 1_000,
}  # fmt: skip


@pytest.mark.parametrize("trick", TRICKS)
def test_no_trick_of_framing_gets_an_answer_out_of_it_without_a_key(port, key, trick):
    told = send(port, TRICKS[trick])
    statuses = [int(one) for one in re.findall(rb"^HTTP/1\.1 (\d{3})", told, re.MULTILINE)]
    assert all(400 <= status < 500 or status == 100 for status in statuses), told
    assert b"candidates" not in told
    assert b'"units":' not in told
    ranked(port, key)


FRAMED = {name: raw for name, raw in TRICKS.items() if raw.startswith(b"POST ") and b"authorization" not in raw}


@pytest.mark.parametrize("trick", FRAMED)
def test_with_a_key_a_trick_gets_one_answer_at_most_and_no_fault(port, key, trick):
    """One that is read as two requests would let a proxy's client speak for another."""
    raw = FRAMED[trick].replace(b"connection: close", b"authorization: Bearer " + key, 1)
    told = send(port, raw)
    statuses = [int(one) for one in re.findall(rb"^HTTP/1\.1 (\d{3})", told, re.MULTILINE) if one != b"100"]
    assert not [status for status in statuses if status >= 500], told
    assert len(statuses) <= 1 or statuses[1] in {400, 401}, told
    assert told.count(b'"fix"') == 0
    ranked(port, key)
