"""Who asks: known from the first look at a request to its last, in whatever thread it is answered."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from geomatch.errors import GeomatchError
from geomatch.service.scopes import Scope

EVERY_AGENCY = "*"
"""In place of agency ids: a regional centre that dispatches for all of them."""


class Forbidden(GeomatchError):
    """A request of somebody who is known, for what is not theirs to ask or to change."""


@dataclass(frozen=True, slots=True)
class Caller:
    id: str
    """Of the key, or the issuer and subject of a token: for the log and for limits. No secret."""
    agencies: frozenset[str]
    scopes: frozenset[Scope]

    @property
    def is_everyone(self) -> bool:
        return EVERY_AGENCY in self.agencies

    def owns(self, agency: str | None) -> bool:
        return agency in self.agencies or EVERY_AGENCY in self.agencies


NOBODY = Caller(id="", agencies=frozenset(), scopes=frozenset())
"""Whoever asks for what is open."""
OPERATOR = Caller(id="", agencies=frozenset({EVERY_AGENCY}), scopes=frozenset(Scope))
"""Whoever asks where no keys are checked."""

CALLER: ContextVar[Caller] = ContextVar("caller")


def caller() -> Caller:
    """Of the request that is being answered. Raises Forbidden outside of one: what nobody asked for is nobody's."""
    found = CALLER.get(None)
    if found is None:
        raise Forbidden("nobody asked for this: let it go to the matcher itself")
    return found
