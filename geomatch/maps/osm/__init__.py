"""OpenStreetMap: its files, its tags, its turn restrictions and borders, and OSMnx's graphs of it."""

from geomatch.maps.osm.read import read_osm

__all__ = ["read_osm"]
