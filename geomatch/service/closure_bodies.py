"""What the closure routes take and answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import MaxLen, MinLen
from pydantic import FailFast

from geomatch.model import STRICT
from geomatch.model.closures import Closure, ClosureResult, HeldClosure

MAX_CLOSURES = 10_000


@dataclass(frozen=True, kw_only=True)
class ClosureBatch:
    """Roads to close or to slow, in one step."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    closures: Annotated[tuple[Closure, ...], MaxLen(MAX_CLOSURES), FailFast()]
    source: Annotated[str, MinLen(1), MaxLen(254)] | None = None
    """Where it is named, these are all that hold from this source: what it said before is reopened."""


@dataclass(frozen=True, kw_only=True)
class ClosureResults:
    """What became of each closure, in the order they were sent."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    epoch: int
    """Of the roads after it; rankings made on them say the same or a higher one."""
    results: list[ClosureResult]


@dataclass(frozen=True, kw_only=True)
class ClosureList:
    """Every closure that is held, by id: also those that are to come, are over, or lie on no road."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = STRICT

    epoch: int
    closures: list[HeldClosure]
