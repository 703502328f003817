"""While a service answers: another region that is activated in its folder is noticed, checked and swapped in."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from geomatch.quantities import Seconds
from geomatch.region import MANIFEST, Region, verify
from geomatch.service.warm import warm

if TYPE_CHECKING:
    from geomatch.matcher import Matcher

EVERY_S: Seconds = 1.0
"""Between two looks; a look at a folder that nobody touched is one stat, some microseconds."""
AGAIN_LOOKS = 30
"""So many looks after a region was refused it is read again: it may have been copied over while it was checked."""
GONE_LOOKS = 3
"""A folder that is away for so many looks is told; between the two renames of a swap it is away for microseconds."""

_Mark: TypeAlias = tuple[int, int, int]
"""Inode, time and size of a manifest: another one for whatever is put in its place."""


class RegionWatch:
    """Keeps `matcher` on the region that lies in `folder`. Used in a `with`, which starts and ends its thread.

    A region that cannot be opened or is damaged is refused, with one line to `tell`; the old one goes on answering.
    """

    def __init__(
        self, matcher: Matcher, folder: Path, *, every_s: Seconds = EVERY_S, tell: Callable[[str], None] | None = None
    ) -> None:
        self._matcher = matcher
        self._folder = folder
        self._every_s = every_s
        self._tell = tell or logging.getLogger(__name__).warning
        self._seen: _Mark | None = None
        self._looks_left = 0
        self._away = 0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.fault: str | None = None
        """Why the region in the folder is not the one that answers; None: it is."""

    def __enter__(self) -> Self:
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, name="geomatch region watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            # A look that is reading a large region is left to end with the process.
            self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while not self._ended.is_set():
            self.look()
            self._ended.wait(self._every_s)

    def look(self) -> None:
        """One look at the folder, from one thread at a time. Never raises: whatever is wrong is told."""
        mark = self._mark()
        self._away = 0 if mark else self._away + 1
        if mark is None:
            if self._away == GONE_LOOKS:
                self._refuse(f"{self._folder} is gone: put a region there again, or stop the service")
            self._seen = None
            return
        self._looks_left -= 1
        if mark == self._seen and (self.fault is None or self._looks_left > 0):
            return
        try:
            region = self._opened()
            if self._mark() == mark:
                self._take(region)
                self._seen = mark
        except Exception as fault:  # noqa: BLE001 - whatever lies there, the watch goes on and the old region answers
            # What was swapped while it was read is no fault: the next look reads it whole.
            if self._mark() == mark:
                self._seen = mark
                self._refuse(str(fault))

    def _opened(self) -> Region | None:
        """The region in the folder, every byte of it checked; None where it is the one that answers."""
        said = json.loads((self._folder / MANIFEST).read_text(encoding="utf-8"))
        if said["hash"] == self._matcher.region.hash:
            return None
        verify(self._folder)
        region = Region.open(self._folder)
        warm(region)
        return region

    def _take(self, region: Region | None) -> None:
        if region is not None:
            self._matcher.activate(region)
            self._tell(f"{region.name} ({region.hash[:12]}) was put in {self._folder.name} and answers from here on")
        elif self.fault is not None:
            self._tell(f"{self._folder.name} holds the region that answers again")
        self.fault = None

    def _refuse(self, why: str) -> None:
        self._looks_left = AGAIN_LOOKS
        # Without the way to the folder: others may read it.
        why = why.replace(str(self._folder), self._folder.name)
        if why != self.fault:
            self._tell(f"not activated, {self._matcher.region.hash[:12]} goes on answering: {why}")
        self.fault = why

    def _mark(self) -> _Mark | None:
        try:
            stat = (self._folder / MANIFEST).stat()
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size
