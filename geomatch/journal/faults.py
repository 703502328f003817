"""How a journal says no."""

from __future__ import annotations

from geomatch.errors import GeomatchError


class BadJournal(GeomatchError):
    """A journal that is none, is of another version, or is not what was written: where its chain first breaks."""


class JournalDown(GeomatchError):
    """The store takes nothing now: what was told was not acknowledged, and from here on nothing new is taken."""
