"""Who was asked for leave, for which stop, and what they answered: kept until the stop is opened anew or forgotten."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

from geomatch.aid.agreements import Agreement
from geomatch.aid.approval import Asked, approvers
from geomatch.errors import BadInput
from geomatch.quantities import UnixTime

MOST_STOPS = 10_000
"""Requests of so many stops are kept; then those of the stop that was first asked for longest ago go."""

AskedView: TypeAlias = Mapping[str, Mapping[str, Asked]]
"""Stop id -> agreement id -> what was asked and answered. Immutable."""
NOBODY_ASKED: Mapping[str, Asked] = MappingProxyType({})


class Answer(StrEnum):
    granted = "granted"
    denied = "denied"


class Approvals:
    """Any number of threads may ask and answer; one lock inside, readers take a view.

    Nothing here reads a clock: whether a request has timed out is worked out when a ranking asks, by its `now`.
    """

    def __init__(self, held: AskedView | None = None) -> None:
        """Starts from what a journal says was asked."""
        self._lock = threading.Lock()
        self._view: AskedView = MappingProxyType(dict(held or {}))

    def view(self) -> AskedView:
        return self._view

    def of(self, stop: str) -> Mapping[str, Asked]:
        return self._view.get(stop, NOBODY_ASKED)

    def ask(self, stop: str, agreement: Agreement, *, at: UnixTime) -> Asked:
        """The request is made, and its timeout runs. Asking again changes nothing. Raises BadInput where there is
        nobody to be asked."""
        _check_asks(agreement)
        with self._lock:
            known = self.of(stop).get(agreement.id)
            return known or self._keep(stop, agreement.id, Asked(asked_at=at))

    def answer(self, stop: str, agreement: Agreement, *, agency: str, answer: Answer, at: UnixTime) -> Asked:
        """An agency's last answer counts, late ones too. Where nobody asked here, it was asked and answered at `at`.

        Raises BadInput for an agency whose leave it does not take.
        """
        _check_asks(agreement)
        if agency not in approvers(agreement):
            raise BadInput(
                f"{agreement.key} takes the approval of {' and '.join(approvers(agreement))}, not {agency!r}"
            )
        with self._lock:
            known = self.of(stop).get(agreement.id) or Asked(asked_at=at)
            granted = _without(known.granted_by, agency)
            denied = _without(known.denied_by, agency)
            if answer is Answer.granted:
                granted = (*granted, agency)
            else:
                denied = (*denied, agency)
            return self._keep(stop, agreement.id, replace(known, granted_by=granted, denied_by=denied))

    def forget(self, stop: str) -> None:
        """The stop is over, or its id is used for another one."""
        with self._lock:
            if stop in self._view:
                self._view = MappingProxyType({one: asked for one, asked in self._view.items() if one != stop})

    def _keep(self, stop: str, agreement: str, asked: Asked) -> Asked:
        stops = dict(self._view)
        if stop not in stops and len(stops) >= MOST_STOPS:
            del stops[next(iter(stops))]
        stops[stop] = MappingProxyType({**stops.get(stop, {}), agreement: asked})
        self._view = MappingProxyType(stops)
        return asked


def _check_asks(agreement: Agreement) -> None:
    if not agreement.waits_for_approval:
        raise BadInput(f"{agreement.key} needs nobody's approval: its units may be sent at once")


def _without(agencies: Iterable[str], agency: str) -> tuple[str, ...]:
    return tuple(one for one in agencies if one != agency)
