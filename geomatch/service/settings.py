"""What an operator may set of the service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    max_body_bytes: int = 16 * 1024 * 1024
    """A longer body is refused with 413 before it is read; 10,000 units with their fixes are about 4 MB."""
    notes: tuple[str, ...] = ()
    """Added to those of every ranking, as "simulated" where the units are."""
