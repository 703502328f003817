"""The metro's own agreements: they load, they are signed, and they show everything an agreement can say."""

from __future__ import annotations

import hashlib
from enum import EnumType

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from geomatch.aid import clauses
from geomatch.aid.agreement_files import read_agreements
from geomatch.aid.clauses import Mode, Stage
from geomatch.aid.jurisdictions import Jurisdictions
from geomatch.aid.places import Places
from geomatch.aid.signoff import missing_signoffs, read_keys, sign
from geomatch.aid.vocabulary import read_vocabularies
from geomatch.maps.layers import read_jurisdictions
from geomatch.model import Urgency
from geomatch.quantities import LonLat, Projection


@pytest.fixture(scope="module")
def papers(own_data):
    return read_agreements([own_data / "metro" / "agreements.toml"])


def made_up_key(agency: str) -> bytes:
    """Anybody can make it: the metro's signatures prove nothing, they only show how signing works."""
    return hashlib.sha256(f"made-up key of {agency}".encode()).digest()


def test_every_agency_is_on_the_metros_map_and_every_area_is_drawn(own_data, papers):
    projection = Projection(LonLat(-101.6, 45.3))
    read, _ = read_jurisdictions(own_data / "metro" / "jurisdictions.geojson", projection=projection)
    areas = Jurisdictions(tuple(read))
    known = areas.agencies()
    read_agreements([own_data / "metro" / "agreements.toml"], known_agencies=known)
    Places(agreements=papers, jurisdictions=areas, projection=projection)
    assert {a for one in papers.all for a in (one.provider_agency, one.receiver_agency)} == set(known)


def test_keys_are_those_of_the_made_up_agencies(own_data, papers):
    keys = read_keys(own_data / "metro" / "agency_keys.toml")
    agencies = {a for one in papers.all for a in (one.provider_agency, one.receiver_agency)}
    assert keys == {
        agency: Ed25519PrivateKey.from_private_bytes(made_up_key(agency)).public_key().public_bytes_raw()
        for agency in agencies
    }


def test_every_active_agreement_is_signed_by_both(own_data, papers):
    """When the terms change they are to be signed again: the lines to paste are in the message."""
    keys = read_keys(own_data / "metro" / "agency_keys.toml")
    for one in papers.all:
        if one.status != Stage.active:
            continue
        missing = missing_signoffs(one, papers.areas, keys)
        lines = [
            f'  {{ agency = "{agency}", signature = "{sign(one, papers.areas, made_up_key(agency))}" }},'
            for agency in (one.provider_agency, one.receiver_agency)
        ]
        assert not missing, "\n".join([f"{one.key}:", "signoffs = [", *lines, "]"])
    read_agreements([own_data / "metro" / "agreements.toml"], keys=keys)


def test_every_word_of_an_agreement_occurs(own_data):
    """Each value of each list of words an agreement may use is used somewhere in the file."""
    text = (own_data / "metro" / "agreements.toml").read_text(encoding="utf-8")
    words = {
        f"{name}.{word}"
        for name, kind in vars(clauses).items()
        if isinstance(kind, EnumType) and kind.__module__ == clauses.__name__
        for word in kind
        if f'"{word}"' not in text
    }
    # What a field means when it is not written need not be written.
    assert words <= {"Needed.notify", "Disclosed.exact"}


def test_provider_and_receiver_differ_in_every_pair_that_is_reciprocal(papers):
    back = {one.id: one.reciprocal_with for one in papers.all if one.reciprocal_with}
    assert back
    assert all(back[back[name]] == name for name in back)


def test_the_sheriff_and_the_patrol_mean_the_opposite(own_data):
    words = read_vocabularies([own_data / "metro" / "vocabulary.toml"])
    sheriff, patrol = words.of("larkin-sheriff.example"), words.of("kestrel-patrol.example")
    assert sheriff.urgency_of("backup") == patrol.urgency_of("assistance") == Urgency.routine_backup
    assert sheriff.urgency_of("assistance") == patrol.urgency_of("backup") == Urgency.officer_emergency


def test_one_prohibition_is_for_all_and_one_for_some_units(papers):
    bans = [one for one in papers.all if one.mode == Mode.prohibited]
    assert {bool(one.capabilities.allowed) for one in bans} == {True, False}
