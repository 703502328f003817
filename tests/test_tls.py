"""TLS and client certificates, with an authority that lives as long as the test."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import threading
from contextlib import contextmanager

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from service_town import NOW

from geomatch.cli import main
from geomatch.errors import BadInput
from geomatch.service.app import create_app
from geomatch.service.serve import Tls, address_of, listen, server

pytest_plugins = ("service_town",)


class Authority:
    """Its root, and certificates it gives out, as PEM files."""

    def __init__(self, folder, name):
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        root = self._certificate(self._subject, self._key.public_key(), is_root=True)
        self.root = folder / f"{name}.pem"
        self.root.write_bytes(root)

    def give(self, name):
        """Certificate and key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        cert, private = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        cert.write_bytes(self._certificate(subject, key.public_key(), is_root=False))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return cert, private

    def _certificate(self, subject, public, *, is_root):
        now = dt.datetime.now(dt.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not is_root, content_commitment=False, key_encipherment=False,
                    data_encipherment=False, key_agreement=False, key_cert_sign=is_root, crl_sign=is_root,
                    encipher_only=False, decipher_only=False,
                ),
                critical=True,
            )
        )  # fmt: skip
        if not is_root:
            names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
            made = made.add_extension(names, critical=False)
        return made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def county(tmp_path):
    return Authority(tmp_path, "county")


@contextmanager
def serving(matcher, tls):
    with listen("127.0.0.1", 0) as listener:
        running = server(create_app(matcher, clock=lambda: NOW), tls)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield address_of(listener, tls)
        finally:
            running.should_exit = True
            thread.join(20.0)
            assert not thread.is_alive()


def health(address, *, trusting, showing=None, **options):
    context = ssl.create_default_context(cafile=str(trusting))
    for name, value in options.items():
        setattr(context, name, value)
    if showing is not None:
        context.load_cert_chain(*map(str, showing))
    with httpx.Client(verify=context, timeout=20.0) as client:
        return client.get(f"{address}/healthz").status_code


REFUSED = (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError)


def test_who_trusts_the_authority_is_answered_over_tls_and_nobody_without(matcher, county, tmp_path):
    cert, key = county.give("service")
    stranger = Authority(tmp_path, "stranger")
    with serving(matcher, Tls(cert=cert, key=key)) as address:
        assert address.startswith("https://")
        assert health(address, trusting=county.root) == 200
        with pytest.raises(httpx.ConnectError):
            health(address, trusting=stranger.root)
        with pytest.raises(REFUSED):
            httpx.get(address.replace("https", "http") + "/healthz")


def test_the_server_speaks_nothing_older_than_tls_1_2(matcher, county):
    cert, key = county.give("service")
    running = server(create_app(matcher, clock=lambda: NOW), Tls(cert=cert, key=key))
    running.config.load()
    assert running.config.ssl.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_only_clients_with_a_certificate_of_the_authority_get_past_the_handshake(matcher, county, tmp_path):
    cert, key = county.give("service")
    cad, forged = county.give("cad"), Authority(tmp_path, "stranger").give("cad2")
    with serving(matcher, Tls(cert=cert, key=key, client_ca=county.root)) as address:
        assert health(address, trusting=county.root, showing=cad) == 200
        for showing in (None, forged):
            with pytest.raises(REFUSED):
                health(address, trusting=county.root, showing=showing)


def test_files_that_do_not_belong_together_are_refused_before_anybody_can_connect(county, tmp_path):
    (cert, _), (_, other) = county.give("one"), county.give("two")
    with pytest.raises(BadInput, match="TLS"):
        Tls(cert=cert, key=other)
    with pytest.raises(BadInput, match="TLS"):
        Tls(cert=cert, key=tmp_path / "none.key")
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(BadInput, match="TLS"):
        Tls(cert=cert, key=cert.with_suffix(".key"), client_ca=tmp_path / "empty.pem")


def test_a_configuration_is_checked_whole_without_serving(county, town_folder, tmp_path, capsys):
    cert, key = map(str, county.give("service"))
    keys = tmp_path / "keys.json"
    assert main(["keys", "new", str(keys), "cad", "-a", "hoboken.nj", "-s", "rankings:read"]) == 0
    command = ["serve", str(town_folder), "--host", "0.0.0.0", "--keys", str(keys), "--check-config"]
    assert main([*command, "--tls-cert", cert, "--tls-key", key, "--client-ca", str(county.root)]) == 0
    assert "1 keys and issuers, TLS with client certificates: nothing is wrong" in capsys.readouterr().out
    assert main([*command, "--tls-cert", cert, "--tls-key", cert]) == 1
    assert main([*command, "--tls-cert", cert]) == 2
    assert main(["serve", str(town_folder), "--host", "0.0.0.0", "--check-config"]) == 2
    keys.write_text("{")
    assert main(command) == 1
