"""An agency's own centrelines and distance markers, as NENA layers: read, told what is odd, written."""

from geomatch.maps.centrelines.read import read_centrelines

__all__ = ["read_centrelines"]
