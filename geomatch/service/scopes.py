"""What a caller may be allowed to do."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """What a key may be for. Few, and each for one kind of client: a modem, a CAD, a GIS desk, an auditor."""

    fixes_write = "fixes:write"
    """Report positions of the agency's own units."""
    status_write = "status:write"
    """Register the agency's own units, change, forget them, and set their status."""
    rankings_read = "rankings:read"
    """Ask who can be there first, and see units as their agencies disclose them."""
    stops_write = "stops:write"
    """Open and change the agency's own stops, and assign units to them."""
    maps_admin = "maps:admin"
    """Close and reopen roads."""
    agreements_admin = "agreements:admin"
    """Answer for an agency whether its units may go."""
    audit_read = "audit:read"
    """Read what was decided, and what became of every feed."""
    metrics_read = "metrics:read"
    """Scrape /metrics: it counts all agencies together, so that it is no part of any other scope."""
