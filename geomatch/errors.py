"""The few ways geomatch says no. Every message is one sentence that names the fault and the cure, and no position."""


class GeomatchError(Exception):
    """Any error geomatch raises on purpose."""


class BadInput(GeomatchError, ValueError):
    """A value that cannot be what it claims to be; nothing of it was applied."""


class OutsideMap(BadInput):
    """A position too far from every road of the loaded map: another region, or latitude and longitude swapped."""


class UnknownUnit(GeomatchError, LookupError):
    """A unit id that was never registered."""


class UnknownAgency(GeomatchError, LookupError):
    """An agency id that is on no loaded jurisdiction map."""


class UnknownAgreement(GeomatchError, LookupError):
    """An agreement that is not loaded, or not in force."""


class UnknownStop(GeomatchError, LookupError):
    """A stop id that is not open."""


class UnknownClosure(GeomatchError, LookupError):
    """A closure id that was never told, or was reopened."""


class UnknownAssignment(GeomatchError, LookupError):
    """An assignment id that no open stop has."""


class LostRace(GeomatchError):
    """A decision on what has changed since: the unit was taken, or the stop is not as it was. Rank again."""


class MayNotGo(GeomatchError):
    """A unit that nobody may send there: an agreement, or the want of one, keeps it, or nobody is aboard."""


class IllegalStep(GeomatchError):
    """A step that a stop or an assignment cannot take from where it is."""


class BadMap(GeomatchError):
    """A map, layer or agreement file that cannot be used, with what is wrong and where."""


class BadRegion(GeomatchError):
    """A folder that is no region, is damaged, or was built by another version."""


class LimitReached(GeomatchError):
    """A unit that may not be lent now: another request took the last place under the agreement."""


class ResyncRequired(GeomatchError):
    """A delta that does not follow the last one taken from its source: send a whole snapshot."""
