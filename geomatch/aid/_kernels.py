# mypy: disable-error-code="no-untyped-def"
"""The part of eligibility that is asked of every single unit: plain loops over arrays, compiled."""

from __future__ import annotations

from geomatch.compiled import kernel

OWN = -2
NO_GRANT = -1

PROHIBITION, GRANT, IDLE = 0, 1, 2
"""What a row does: forbids, lets go, or nothing (not in force, or a prohibition whose scope does not hold)."""

LIMIT_OFF = -1

ASKS_CAPABILITY, ASKS_COVER, ASKS_EXTRA = 1, 2, 4
"""Bits of a row's gates that look at the unit."""


@kernel
def judge_units(
    agency, capability_bits, officers, state,  # of N units
    side_of_agency, first, order,  # agency -> its side: OWN, NO_GRANT or a provider; provider -> rows, best first
    kind, row_code,  # of G rows: what a row does, and the first gate that fails for the whole agency (0: none)
    gates, allowed, any_allowed, denied, min_officers,  # of G rows: which gates ask; capability
    counts_as_cover, cover_units, min_units, cover_officers, min_home_officers,  # of G rows: home cover
    extra_of, extra,  # of G rows: row of `extra`, -1 none; (E, N) codes that were worked out per unit beforehand
    wait_ms,  # of G rows
    prohibited, no_grant, capability_denied, home_cover,  # reason codes
    out_code, out_row, out_wait_ms,
):  # fmt: skip
    """Fill for each unit the reason code (0: may go), the row that decided (-1: none) and the wait in milliseconds.

    The rows of a provider come in the order prohibitions, then grants, the most permissive first, so that the first
    row that lets a unit pass is its verdict. Of failing grants the one that failed at the latest gate decides: codes
    rise with the gates. O(units x rows of their agency); allocates nothing.
    """
    words = capability_bits.shape[1]
    for n in range(agency.shape[0]):
        side = side_of_agency[agency[n]]
        out_code[n] = 0
        out_row[n] = -1
        out_wait_ms[n] = 0
        if side == OWN:
            continue
        out_code[n] = no_grant
        if side == NO_GRANT:
            continue
        for place in range(first[side], first[side + 1]):
            row = order[place]
            if kind[row] == IDLE:
                break  # idle rows are last
            code = row_code[row]
            asks = gates[row]
            if asks & ASKS_EXTRA:
                own = extra[extra_of[row], n]
                if own != 0 and (code == 0 or own < code):
                    code = own
            if asks & ASKS_CAPABILITY and (code == 0 or code > capability_denied):
                lacks = officers[n] < min_officers[row]
                has_one = any_allowed[row] == 0
                for word in range(words):
                    bits = capability_bits[n, word]
                    if bits & denied[row, word]:
                        lacks = True
                    if bits & allowed[row, word]:
                        has_one = True
                if lacks or not has_one:
                    code = capability_denied
            if asks & ASKS_COVER and (code == 0 or code > home_cover):
                counted = 1 if officers[n] > 0 and (counts_as_cover[row] >> state[n]) & 1 else 0
                if (
                    cover_units[row] - counted < min_units[row]
                    or cover_officers[row] - counted * officers[n] < min_home_officers[row]
                ):
                    code = home_cover
            if kind[row] == PROHIBITION:
                if code == 0:
                    out_code[n] = prohibited
                    out_row[n] = row
                    break
                continue
            if code == 0:
                out_code[n] = 0
                out_row[n] = row
                out_wait_ms[n] = wait_ms[row]
                break
            if out_row[n] == -1 or code > out_code[n]:
                out_code[n] = code
                out_row[n] = row


@kernel
def count_cover(agency, officers, state, count, provider_of_agency, out_units, out_officers):
    """Add staffed units, so many of each, to (provider, state) of `out_units`, their officers to the other."""
    for n in range(agency.shape[0]):
        provider = provider_of_agency[agency[n]]
        if provider >= 0 and officers[n] > 0:
            out_units[provider, state[n]] += count[n]
            out_officers[provider, state[n]] += count[n] * officers[n]


@kernel
def cover_of_rows(provider_of, counts_as_cover, units, officers, out_units, out_officers):
    """Sum what each row's provider has at home over the availabilities that the row counts."""
    for row in range(provider_of.shape[0]):
        for state in range(units.shape[1]):
            if (counts_as_cover[row] >> state) & 1:
                out_units[row] += units[provider_of[row], state]
                out_officers[row] += officers[provider_of[row], state]
