"""Progress of a build, for a person who waits."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bars() -> Iterator[Callable[[str, float], None] | None]:
    """A bar a stage on stderr, where that is a terminal; else nothing."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    shown = Progress(
        TextColumn("{task.description:<30}"), BarColumn(), TimeElapsedColumn(), console=Console(stderr=True)
    )
    stages: dict[str, TaskID] = {}

    def advance(stage: str, fraction: float) -> None:
        if stage not in stages:
            stages[stage] = shown.add_task(stage, total=1.0)
        shown.update(stages[stage], completed=fraction)

    with shown:
        yield advance
