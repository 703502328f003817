"""A feeds file says which feeds a service receives besides HTTP, and which device is which unit. It is TOML:

[devices]                        # device id = unit id, where they differ
"1234" = "2A14"
"jane/phone" = "2A14"

[addresses]                      # a sender's address = unit id, for UDP messages that name no device
"10.0.0.7" = "2A15"

[mappings]                       # name = a mapping file beside this one, for formats of other makers
vendor = "vendor.toml"

[[udp]]
name = "modems"
listen = "127.0.0.1:5017"
format = "taip"                  # nmea, taip, cot, geojson, owntracks, eido, fixes, or the name of a mapping

[[mqtt]]
name = "phones"
broker = "127.0.0.1:1883"
topic = "owntracks/+/+"
format = "owntracks"
tls = true                       # with the machine's own certificate authorities
username = "geomatch"
password_env = "PHONES_PASSWORD" # the environment variable that holds it: no password stands in a file
client_id = "geomatch-1"         # with one, the broker keeps what comes while the service is down
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geomatch.aid.toml_files import parse_toml
from geomatch.errors import BadInput
from geomatch.feeds.formats import Format, Parser, parser_of
from geomatch.feeds.intake import Alarm, Intake, Sink
from geomatch.feeds.mapped import JsonMapping, read_mapping
from geomatch.feeds.transports import Transport
from geomatch.feeds.transports.mqtt import Broker, MqttFeed
from geomatch.feeds.transports.udp import UdpFeed
from geomatch.quantities import UnixTime

UDP_KEYS = ("name", "listen", "format")
MQTT_KEYS = ("name", "broker", "topic", "format", "tls", "username", "password_env", "client_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """One [[udp]]."""

    name: str
    format: str
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribing:
    """One [[mqtt]]."""

    name: str
    format: str
    broker: Broker


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPlan:
    udp: tuple[Listening, ...] = ()
    mqtt: tuple[Subscribing, ...] = ()
    devices: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    mappings: Mapping[str, JsonMapping] = field(default_factory=dict)

    def transports(
        self, sink: Sink, *, clock: Callable[[], UnixTime], alarm: Alarm | None = None
    ) -> tuple[Transport, ...]:
        """Each feed with an intake of its own, so that one that is flooded drops nothing of another."""

        def intake(feed: Listening | Subscribing) -> Intake:
            return Intake(
                feed.name, self._parser(feed.format), sink, clock=clock, units=self.devices, alarm=alarm
            )  # fmt: skip

        return (
            *(UdpFeed(intake=intake(one), host=one.host, port=one.port, units=self.addresses) for one in self.udp),
            *(MqttFeed(intake=intake(one), broker=one.broker) for one in self.mqtt),
        )

    def _parser(self, name: str) -> Parser:
        mapping = self.mappings.get(name)
        return parser_of(name) if mapping is None else parser_of(Format.mapped, mapping)


def read_plan(path: Path | str, environment: Mapping[str, str]) -> FeedPlan:
    """Raises BadInput, which names the file, the feed and the key. `environment` holds the passwords."""
    file = Path(path)
    try:
        return _plan(parse_toml(file.read_text(encoding="utf-8")), file.parent, environment)
    except OSError as fault:
        raise BadInput(f"the feeds file {file.name} cannot be read: {fault.strerror}") from None
    except ValueError as fault:  # TOMLDecodeError, UnicodeDecodeError and BadInput are all ones
        raise BadInput(f"the feeds file {file.name}: {fault}") from None


def _plan(told: Mapping[str, Any], folder: Path, environment: Mapping[str, str]) -> FeedPlan:
    _check_keys(told, ("devices", "addresses", "mappings", "udp", "mqtt"), "the file")
    mappings = {name: read_mapping(folder / file) for name, file in _texts(told, "mappings").items()}
    if taken := sorted(mappings.keys() & set(Format)):
        raise BadInput(f"[mappings] {taken[0]} is the name of a format; give it another")
    formats = {*Format, *mappings} - {Format.mapped}
    plan = FeedPlan(
        udp=tuple(_listening(one, formats) for one in _feeds(told, "udp", UDP_KEYS)),
        mqtt=tuple(_subscribing(one, formats, environment) for one in _feeds(told, "mqtt", MQTT_KEYS)),
        devices=_texts(told, "devices"),
        addresses=_texts(told, "addresses"),
        mappings=mappings,
    )
    names = [one.name for one in plan.udp] + [one.name for one in plan.mqtt]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadInput(f"two feeds are named {twice[0]}; give each its own name")
    return plan


def _listening(told: Mapping[str, Any], formats: set[str]) -> Listening:
    host, port = _address(told, "listen", None)
    return Listening(name=_text(told, "name"), format=_format(told, formats), host=host, port=port)


def _subscribing(told: Mapping[str, Any], formats: set[str], environment: Mapping[str, str]) -> Subscribing:
    tls = told.get("tls", False)
    if not isinstance(tls, bool):
        raise BadInput("tls must be true or false")
    variable = _text(told, "password_env") if "password_env" in told else None
    if variable is not None and variable not in environment:
        raise BadInput(f"password_env: the environment variable {variable} is not set")
    host, port = _address(told, "broker", 8883 if tls else 1883)
    broker = Broker(
        host=host, port=port, topic=_text(told, "topic"), tls=ssl.create_default_context() if tls else None,
        username=_text(told, "username") if "username" in told else None,
        password=None if variable is None else environment[variable],
        client_id=_text(told, "client_id") if "client_id" in told else None,
    )  # fmt: skip
    return Subscribing(name=_text(told, "name"), format=_format(told, formats), broker=broker)


def _feeds(told: Mapping[str, Any], kind: str, keys: tuple[str, ...]) -> Iterator[Mapping[str, Any]]:
    listed = told.get(kind, [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise BadInput(f"{kind} must be a list of tables, as [[{kind}]]")
    for number, one in enumerate(listed, start=1):
        _check_keys(one, keys, f"[[{kind}]] {number}")
        yield one


def _check_keys(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise BadInput(f"{where} has an unknown key {key!r}; known are {', '.join(known)}")


def _texts(told: Mapping[str, Any], name: str) -> Mapping[str, str]:
    table = told.get(name, {})
    if not isinstance(table, dict) or not all(isinstance(value, str) and value for value in table.values()):
        raise BadInput(f"[{name}] must be a table of texts")
    return table


def _text(told: Mapping[str, Any], key: str) -> str:
    value = told.get(key)
    if not isinstance(value, str) or not value:
        raise BadInput(f"a feed must have a {key}, in quotes")
    return value


def _format(told: Mapping[str, Any], formats: set[str]) -> str:
    name = _text(told, "format")
    if name not in formats:
        raise BadInput(f"there is no format {name!r}; known are {', '.join(sorted(formats))}")
    return name


def _address(told: Mapping[str, Any], key: str, usual_port: int | None) -> tuple[str, int]:
    """HOST:PORT, [HOST]:PORT for IPv6, or HOST alone where there is a usual port."""
    text = _text(told, key)
    host, colon, port = text.rpartition(":")
    if not colon and usual_port is not None:
        return text, usual_port
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise BadInput(f"{key} must be as 127.0.0.1:5017")
    return host.removeprefix("[").removesuffix("]"), int(port)
