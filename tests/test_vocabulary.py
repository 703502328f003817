"""Words of agencies: the same word means opposite things, and nothing is guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomatch.aid.eido import ACTIVITY, AVAILABILITY
from geomatch.aid.vocabulary import (
    PriorityScale,
    StatusWord,
    UnclearWord,
    Vocabularies,
    Vocabulary,
    plain,
    read_vocabularies,
    urgency_of_type,
)
from geomatch.errors import BadInput, BadMap
from geomatch.model import Availability, Urgency

# Two real agencies' manuals: for the county sheriff "backup" is routine and "assistance" an emergency; for the state's
# highway patrol it is the other way round, and each listens to the other on the radio.
TEXT = """format = 1

[[vocabulary]]
agency = "sheriff.example"
version = 2
priority = { highest = 1, lowest = 5 }
[vocabulary.urgency]
"backup" = "routine_backup"
"assistance" = "officer_emergency"
"997" = "urgent_backup"
[vocabulary.ask]
"help" = ["urgent_backup", "officer_emergency"]
[vocabulary.status]
"10-8" = { primary = "Available", secondary = ["InService"] }
"10-6" = { primary = "ConditionallyAvailable", secondary = ["TrafficStop"] }
"10-7" = { primary = "NotAvailable", secondary = ["OutofService"] }
[vocabulary.incident_type]
"T-STOP" = "TSTOP"

[[vocabulary]]
agency = "patrol.example"
version = 1
[vocabulary.urgency]
"backup" = "officer_emergency"
"assistance" = "routine_backup"
"""


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "words.toml"
    path.write_text(TEXT, encoding="utf-8")
    return read_vocabularies([path])


def test_backup_and_assistance_mean_opposite_things_in_two_agencies(words):
    sheriff, patrol = words.of("sheriff.example"), words.of("patrol.example")
    assert sheriff.urgency_of("backup") == patrol.urgency_of("assistance") == Urgency.routine_backup
    assert sheriff.urgency_of("assistance") == patrol.urgency_of("backup") == Urgency.officer_emergency


def test_a_word_with_several_meanings_is_asked_about(words):
    with pytest.raises(UnclearWord, match="ask which") as raised:
        words.of("sheriff.example").urgency_of("Help!")
    assert raised.value.choices == (Urgency.urgent_backup, Urgency.officer_emergency)


@pytest.mark.parametrize("agency", ["sheriff.example", "nobody.example"])
@pytest.mark.parametrize("word", ["10-33", "code 3", "cover", ""])
def test_a_word_nobody_defined_is_refused_with_what_to_send(words, agency, word):
    with pytest.raises(UnclearWord, match="send one of") as raised:
        words.of(agency).urgency_of(word)
    assert raised.value.choices == tuple(Urgency)


def test_without_a_vocabulary_backup_means_nothing_but_canonical_words_do(words):
    nobody = words.of("nobody.example")
    with pytest.raises(UnclearWord):
        nobody.urgency_of("backup")
    assert [nobody.urgency_of(word) for word in Urgency] == list(Urgency)


def test_a_status_is_eido_primary_and_secondary(words):
    sheriff = words.of("sheriff.example")
    meanings = [sheriff.status_of(code) for code in ("10-8", "10-6", "10-7")]
    assert [meaning.availability for meaning in meanings] == list(Availability)
    assert [meaning.activities for meaning in meanings] == [("in_service",), ("traffic_stop",), ("out_of_service",)]


@given(st.text(max_size=20))
def test_an_unknown_status_is_never_available(word):
    own = Vocabulary(agency="a", version=1, status={"10-8": StatusWord(primary="Available")})
    meaning = own.status_of(word)
    if plain(word) != "10-8":
        assert (meaning.availability, meaning.known, meaning.said) == (Availability.not_available, False, word)


@pytest.mark.parametrize("said", ["10-8", " 10-8. ", "10\u20138", "\uff11\uff10-\uff18", "10\u22128!"])
def test_dashes_spaces_and_wide_digits_do_not_matter(words, said):
    assert words.of("sheriff.example").status_of(said).known


@pytest.mark.parametrize("said", ["108", "10 8", "10-88", "1-08"])
def test_but_another_code_is_another_code(words, said):
    assert not words.of("sheriff.example").status_of(said).known


@given(st.text(max_size=30))
def test_making_a_word_plain_twice_changes_nothing_more(word):
    assert plain(plain(word)) == plain(word)


def test_a_priority_of_one_is_the_highest_and_eido_has_ten(words):
    sheriff = words.of("sheriff.example")
    assert [sheriff.eido_priority(p) for p in (1, 2, 3, 4, 5)] == [10, 8, 5, 3, 0]
    assert PriorityScale(highest=9, lowest=0).eido(9) == 10
    for bad in (0, 6):
        with pytest.raises(BadInput, match="between 1 and 5"):
            sheriff.eido_priority(bad)
    with pytest.raises(BadInput, match="no priority scale"):
        words.of("patrol.example").eido_priority(1)


@given(st.integers(-20, 20), st.integers(-20, 20), st.data())
def test_a_scale_keeps_its_order_and_reaches_both_ends(highest, lowest, data):
    if highest == lowest:
        with pytest.raises(BadInput):
            PriorityScale(highest=highest, lowest=lowest)
        return
    scale = PriorityScale(highest=highest, lowest=lowest)
    assert (scale.eido(highest), scale.eido(lowest)) == (10, 0)
    low, high = sorted((highest, lowest))
    one, two = (data.draw(st.integers(low, high)) for _ in range(2))
    nearer = abs(one - highest) <= abs(two - highest)
    assert (scale.eido(one) >= scale.eido(two)) if nearer else (scale.eido(one) <= scale.eido(two))


def test_apco_types_that_are_a_call_for_help():
    assert urgency_of_type("HLP1") == urgency_of_type("mayday") == Urgency.officer_emergency
    assert urgency_of_type("ASSIST") == urgency_of_type("HLP2") == Urgency.routine_backup
    assert urgency_of_type("TSTOP") is None


def test_an_own_incident_type_has_an_apco_code_or_none(words):
    assert words.of("sheriff.example").apco_type_of("t-stop") == "TSTOP"
    assert words.of("sheriff.example").apco_type_of("fight") is None


def test_the_newest_version_holds():
    versions = [Vocabulary(agency="a", version=v, urgency={"x": word}) for v, word in enumerate(Urgency, start=1)]
    assert Vocabularies(reversed(versions)).of("a").urgency_of("x") == list(Urgency)[-1]
    with pytest.raises(BadInput, match="two different"):
        Vocabularies([versions[0], Vocabulary(agency="a", version=1)])


FAULTS = {
    "an unknown urgency": ('"997" = "urgent_backup"', '"997" = "quick"', "vocabulary.urgency.997: must be"),
    "one meaning to ask about": ('["urgent_backup", "officer_emergency"]', '["urgent_backup"]', "two meanings"),
    "the same word twice": ('"997" =', '"Backup " =', "stands twice"),
    "asked and defined": ('"help" = [', '"997." = [', "stands twice"),
    "an unknown primary": ('"10-8" = { primary = "Available"', '"10-8" = { primary = "Free"', "no EIDO primary"),
    "an unknown secondary": ('["InService"]', '["Cruising"]', "no EIDO secondary"),
    "available and out of service": ('"NotAvailable", secondary', '"Available", secondary', "contradicts OutofService"),
    "a scale of one": ("highest = 1, lowest = 5", "highest = 1, lowest = 1", "two ends"),
    "an unknown field": ("version = 2", 'version = 2\nurgencies = "x"', "did you mean 'urgency'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_dictionary_is_told_with_file_and_line(tmp_path, fault):
    right, wrong, said = FAULTS[fault]
    assert right in TEXT
    path = tmp_path / "words.toml"
    path.write_text(TEXT.replace(right, wrong, 1), encoding="utf-8")
    with pytest.raises(BadMap) as raised:
        read_vocabularies([tmp_path])
    assert said in str(raised.value)
    assert "words.toml, line " in str(raised.value)


def test_every_mapped_status_has_a_meaning_of_its_own():
    assert set(AVAILABILITY.values()) == set(Availability)
    assert len(set(ACTIVITY.values())) == len(ACTIVITY)
