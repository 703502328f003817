"""GIS files in NENA field names, or any with a mapping: read, and made into jurisdictions."""

from geomatch.maps.layers.jurisdictions import load_jurisdictions, read_jurisdictions

__all__ = ["load_jurisdictions", "read_jurisdictions"]
