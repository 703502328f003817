"""Each agency's own words and codes, as canonical urgencies, EIDO statuses, APCO types and priorities.

The words are dangerous: "backup" is routine in one agency and an emergency in the next. So nothing is guessed. A word
an agency has not defined, or has marked as one to ask about, is no urgency; a status it has not defined is never
available. Dictionaries come from TOML:

    format = 1

    [[vocabulary]]
    agency = "riverton-pd.example"
    version = 1
    priority = { highest = 1, lowest = 5 }
    [vocabulary.urgency]
    "code 3 backup" = "urgent_backup"
    [vocabulary.ask]
    "backup" = ["routine_backup", "urgent_backup"]
    [vocabulary.status]
    "10-8" = { primary = "Available", secondary = ["InService"] }
    [vocabulary.incident_type]
    "T-STOP" = "TSTOP"
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le, MaxLen, MinLen

from geomatch.aid.eido import ACTIVITY, AVAILABILITY, URGENCY_OF_TYPE, never_available
from geomatch.aid.toml_files import Document, files_of
from geomatch.errors import BadInput, BadMap
from geomatch.model import STRICT, Availability, Status, Stop, Urgency
from geomatch.quantities import UnixTime

Word = Annotated[str, MinLen(1), MaxLen(100)]


class UnclearWord(BadInput):
    """A word that is no urgency here. `choices` are what to ask: did you mean one of these?"""

    def __init__(self, message: str, choices: tuple[Urgency, ...]) -> None:
        super().__init__(message)
        self.choices = choices


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusWord:
    """An agency's status code in EIDO's words."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    primary: str
    secondary: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.primary not in AVAILABILITY:
            raise BadInput(f"{self.primary!r} is no EIDO primary status; write {', '.join(AVAILABILITY)}")
        for code in self.secondary:
            if code not in ACTIVITY:
                raise BadInput(f"{code!r} is no EIDO secondary status that is known here; write one, as TrafficStop")
        if self.primary == "Available" and (contrary := sorted(never_available(self.secondary))):
            raise BadInput(f"Available contradicts {contrary[0]}: say NotAvailable, or leave {contrary[0]} out")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityScale:
    """A CAD's own scale; most have 1 as the highest, EIDO has 10."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    highest: Annotated[int, Ge(-1000), Le(1000)]
    lowest: Annotated[int, Ge(-1000), Le(1000)]

    def __post_init__(self) -> None:
        if self.highest == self.lowest:
            raise BadInput("highest and lowest are the same: a scale needs two ends")

    def eido(self, priority: int) -> int:
        """0 to 10, 10 the highest; halves round up, to the side of more urgency."""
        low, high = sorted((self.highest, self.lowest))
        if not low <= priority <= high:
            raise BadInput(f"priority must be between {low} and {high} on this agency's scale")
        share = (priority - self.lowest) / (self.highest - self.lowest)
        return int(10 * share + 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusMeaning:
    """What a status word means; the word itself is kept."""

    availability: Availability
    activities: tuple[str, ...]
    said: str
    known: bool
    """False: the agency has not defined it, so the unit counts as not available."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalWords:
    """What is said of a stop in the words of its own agency; its internal_type is such a word too."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    urgency: Word | None = None
    """In place of the stop's urgency: a code or a phrase, as "10-78"."""
    priority: Annotated[int, Ge(-1000), Le(1000)] | None = None
    """In place of the stop's priority, on the agency's own scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """One agency's dictionary. Words are compared without regard to case, spacing and kinds of dash."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    agency: Word
    version: Annotated[int, Ge(1)]
    urgency: Mapping[Word, Urgency] = field(default_factory=dict)
    ask: Mapping[Word, tuple[Urgency, ...]] = field(default_factory=dict)
    """Words that mean several things here: whoever says one is asked which."""
    status: Mapping[Word, StatusWord] = field(default_factory=dict)
    incident_type: Mapping[Word, Word] = field(default_factory=dict)
    """Own type to APCO 2.103.2 code."""
    priority: PriorityScale | None = None

    def __post_init__(self) -> None:
        for word, choices in self.ask.items():
            if len(set(choices)) < 2:
                raise BadInput(f"ask.{word!r} needs two meanings or more; with one it belongs under urgency")
        for name, tables in (
            ("urgency and ask", (self.urgency, self.ask)), ("status", (self.status,)), ("type", (self.incident_type,)),
        ):  # fmt: skip
            words = [plain(word) for table in tables for word in table]
            twice = sorted({word for word in words if words.count(word) > 1})
            if twice:
                raise BadInput(f"{twice[0]!r} stands twice in {name}, but for case, spacing or dashes; keep one")
        for table_name in ("urgency", "ask", "status", "incident_type"):
            table = getattr(self, table_name)
            object.__setattr__(self, table_name, {plain(word): meaning for word, meaning in table.items()})

    def urgency_of(self, word: str) -> Urgency:
        """What the word asks for. Canonical names always mean themselves. Raises UnclearWord, with what to ask."""
        said = plain(word)
        if said in self.urgency:
            return self.urgency[said]
        if said in self.ask:
            choices = self.ask[said]
            raise UnclearWord(
                f"{said!r} means {' or '.join(choices)} at {self.agency}: ask which, and send that", choices
            )
        if said in Urgency.__members__:
            return Urgency(said)
        raise UnclearWord(
            f"{said!r} is no urgency at {self.agency}: send one of {', '.join(Urgency)}, or add it to its vocabulary",
            tuple(Urgency),
        )

    def status_of(self, word: str) -> StatusMeaning:
        """Never raises: what is not defined is not available, and says so."""
        meaning = self.status.get(plain(word))
        if meaning is None:
            return StatusMeaning(availability=Availability.not_available, activities=(), said=word, known=False)
        activities = tuple(ACTIVITY[code] for code in meaning.secondary)
        return StatusMeaning(availability=AVAILABILITY[meaning.primary], activities=activities, said=word, known=True)

    def apco_type_of(self, word: str) -> str | None:
        """APCO code of the agency's own incident type; None where it has not said."""
        return self.incident_type.get(plain(word))

    def stop_of(self, stop: Stop, words: LocalWords) -> Stop:
        """The stop in canonical words; an APCO type it names already stays. Raises UnclearWord, BadInput."""
        apco_type = stop.apco_type
        if apco_type is None and stop.internal_type is not None:
            apco_type = self.apco_type_of(stop.internal_type)
        return replace(
            stop,
            urgency=stop.urgency if words.urgency is None else self.urgency_of(words.urgency),
            priority=stop.priority if words.priority is None else self.eido_priority(words.priority),
            apco_type=apco_type,
        )

    def eido_priority(self, priority: int) -> int:
        """Raises BadInput when the agency has not said which end of its scale is the high one."""
        if self.priority is None:
            raise BadInput(f"{self.agency} has no priority scale: add priority = {{ highest = .., lowest = .. }} to it")
        return self.priority.eido(priority)


UNKNOWN_STATUS = "unknown_status"
"""Activity of a unit whose status word its agency has not defined: it counts as not available until it says more."""


def status_in_canonical(meaning: StatusMeaning, *, at: UnixTime) -> Status:
    """As a unit's status: its first activity counts, which without any is the word itself."""
    if not meaning.known:
        said = plain(meaning.said)
        activity = f"{UNKNOWN_STATUS}: {said}" if said.isprintable() else UNKNOWN_STATUS
        return Status(availability=meaning.availability, activity=activity, at=at)
    return Status(availability=meaning.availability, activity=(*meaning.activities, plain(meaning.said))[0], at=at)


class Vocabularies:
    """Dictionaries by agency, the newest version of each. Immutable."""

    def __init__(self, vocabularies: Iterable[Vocabulary] = ()) -> None:
        newest: dict[str, Vocabulary] = {}
        for one in sorted(vocabularies, key=lambda one: one.version):
            known = newest.get(one.agency)
            if known is not None and known.version == one.version and known != one:
                raise BadInput(f"{one.agency}: two different vocabularies have version {one.version}; raise one")
            newest[one.agency] = one
        self._of = newest

    def of(self, agency: str) -> Vocabulary:
        """The agency's; without one, a dictionary that knows the canonical words only."""
        return self._of.get(agency) or Vocabulary(agency=agency, version=1)

    def agencies(self) -> tuple[str, ...]:
        return tuple(sorted(self._of))


def read_vocabularies(paths: Iterable[Path | str]) -> Vocabularies:
    """A folder stands for the .toml files in it. Raises BadMap with file, line and field."""
    files = files_of(paths)
    try:
        return Vocabularies(
            one for path in files for one in Document(path, "vocabulary").rows("vocabulary", Vocabulary)
        )
    except BadInput as fault:
        raise BadMap(f"{', '.join(map(str, files))}: {fault}") from None


def urgency_of_type(apco_type: str) -> Urgency | None:
    """The urgency an APCO incident type calls for of itself; None where it calls for none, as a traffic stop."""
    return URGENCY_OF_TYPE.get(apco_type.upper())


def plain(word: str) -> str:
    """A word as it is compared: small letters, single spaces, plain dashes, no full stop at the end."""
    text = unicodedata.normalize("NFKC", word).casefold()
    text = re.sub(r"[\u2010-\u2015\u2212]", "-", text)
    return re.sub(r"\s+", " ", text).strip(" .!?,;:")
