"""What every kind of event can do."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol, TypeAlias

from geomatch.matcher import Matcher
from geomatch.region import Region

Regions: TypeAlias = Callable[[str], Region]
"""The region of a content hash; raises BadInput where there is none."""


class Told(Protocol):
    """`again` tells a matcher the same as was told when it was written, and gives what the matcher says to it."""

    kind: ClassVar[str]
    seen_at_once: ClassVar[bool]
    """A snapshot has all of its change or none, so that whoever takes one need not wait: units, roads, the region. Not
    so what is done to stops, places under agreements and leave in one."""

    def again(self, matcher: Matcher, regions: Regions, /) -> object: ...
