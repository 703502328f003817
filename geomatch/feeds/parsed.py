"""What a parser is given beside the bytes, and what it gives back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from geomatch.errors import BadInput
from geomatch.model import Fix, Status
from geomatch.quantities import UnixTime, checked_time

MOST_FAULTS = 1_000
"""A message of nothing but faults would else cost more memory than itself; beyond this they are only counted."""

LONGEST_MESSAGE = 400
"""It may name a key of the message, which may be of any length."""


class FaultKind(StrEnum):
    """Few, so that each can be a metric."""

    malformed = "malformed"
    """Not of the format it is said to be."""
    checksum = "checksum"
    """Its checksum is wrong, or missing where the format demands one: it was damaged on the way."""
    void = "void"
    """The receiver itself says that it has no fix, or that it simulates one."""
    no_unit = "no_unit"
    """Neither the message nor the transport says whose it is."""
    out_of_range = "out_of_range"
    """Well formed, but no such place, time, course or speed."""
    expired = "expired"
    """Its sender says it held only until a moment that has passed."""
    unknown_code = "unknown_code"
    """A status that no table translates; the unit is held to be not available."""
    unsupported = "unsupported"
    """A way to send it that is not read, such as an encrypted payload."""


class BadMessage(BadInput):
    """Why one report is left out; what its reader gave before it raised this holds."""

    def __init__(self, kind: FaultKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a transport knows of a message before it is read."""

    received: UnixTime
    """When it came in: the day of a message that tells the time alone."""
    source: str = "avl"
    """The feed it came by, for `Fix.source` and for faults."""
    sender: str = ""
    """Which device or topic of that feed: for faults alone."""
    unit: str | None = None
    """The unit it is sure to be of; then this holds, whatever the message says."""
    device: str | None = None
    """The device it is taken to be of where the message itself does not say."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Device id to unit id, where they differ."""

    def __post_init__(self) -> None:
        checked_time(self.received, "received")

    def unit_of(self, device: str | None) -> str:
        """Raises BadMessage when nobody says whose the message is."""
        if self.unit is not None:
            return self.unit
        device = device or self.device
        if not device:
            raise BadMessage(
                FaultKind.no_unit, "it does not say which unit it is of; let the device send its id, or name the unit"
            )
        return self.units.get(device, device)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitStatus:
    unit: str
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency:
    """An officer pressed the button, or a car reported a crash: EIDO UnitEmergencyState, or a TAK alert."""

    unit: str | None
    """None: nothing sent says whose device it was; it is an emergency all the same."""
    state: str = ""
    """Of the emergency state registry, or the alert's own type."""
    severity: str = "highest"
    """highest, high, normal, low or lowest, as its sender judges."""
    started: UnixTime
    stopped: UnixTime | None = None
    """None: it lasts."""
    acknowledged: UnixTime | None = None
    device: str = ""

    def __post_init__(self) -> None:
        # Cleaned, not refused: an emergency is never lost to a letter.
        for name in ("unit", "state", "device"):
            text = getattr(self, name)
            if text is not None:
                object.__setattr__(self, name, "".join(filter(str.isprintable, text))[:254])
        for name, time in (("started", self.started), ("stopped", self.stopped), ("acknowledged", self.acknowledged)):
            if time is not None:
                checked_time(time, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One report that was left out, or not wholly understood. It names no position."""

    kind: FaultKind
    source: str
    sender: str
    where: str
    """In the message, as `line 3` or `features[2]`."""
    message: str
    """What is wrong and what to do about it."""


Heard: TypeAlias = Fix | UnitStatus | Emergency
Report: TypeAlias = tuple[str, Callable[[], Iterable[Heard]]]
"""Where in the message it stands, and its reader: gives what the report says, nothing where it says nothing of units,
and raises BadInput where it is faulty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What a message says, in its order."""

    fixes: tuple[Fix, ...] = ()
    statuses: tuple[UnitStatus, ...] = ()
    emergencies: tuple[Emergency, ...] = ()
    faults: tuple[Fault, ...] = ()
    """The first 1,000."""
    fault_counts: Mapping[FaultKind, int] = field(default_factory=dict)
    ignored: int = 0
    """Reports that are sound and say nothing of a unit's place or state, such as satellites in view."""

    @property
    def is_empty(self) -> bool:
        """It says nothing that can be acted on."""
        return not (self.fixes or self.statuses or self.emergencies)


def collect(context: Context, reports: Iterable[Report]) -> Parsed:
    """Reads each report by itself: none can spoil another.

    A report may raise BadInput, and so may `reports` itself, where the message is not even a list of reports.
    """
    heard: list[Heard] = []
    faults: list[Fault] = []
    counts: Counter[FaultKind] = Counter()
    ignored = 0

    def note(where: str, fault: BadInput) -> None:
        kind = fault.kind if isinstance(fault, BadMessage) else FaultKind.out_of_range
        counts[kind] += 1
        if len(faults) < MOST_FAULTS:
            faults.append(
                Fault(
                    kind=kind,
                    where=where,
                    message=str(fault)[:LONGEST_MESSAGE],
                    source=context.source,
                    sender=context.sender,
                )
            )

    try:
        for where, read in reports:
            before = len(heard)
            try:
                heard.extend(read())
            except BadInput as fault:
                note(where, fault)
            else:
                ignored += len(heard) == before
    except BadInput as fault:
        note("message", fault)
    return Parsed(
        fixes=tuple(one for one in heard if isinstance(one, Fix)),
        statuses=tuple(one for one in heard if isinstance(one, UnitStatus)),
        emergencies=tuple(one for one in heard if isinstance(one, Emergency)),
        faults=tuple(faults),
        fault_counts=dict(counts),
        ignored=ignored,
    )


def lines_of(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """Each line that is not blank, with its number from 1."""
    for number, line in enumerate(raw.splitlines(), start=1):
        if text := line.strip():
            yield f"line {number}", text


def malformed(message: str) -> BadMessage:
    return BadMessage(FaultKind.malformed, message)


def refused(fault: BadInput) -> Callable[[], Iterable[Heard]]:
    """The reader of a report that is known to be faulty before it is read."""

    def refuse() -> Iterable[Heard]:
        raise fault

    return refuse
