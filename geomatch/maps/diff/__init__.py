"""What a new region would change, told before it is activated."""

from geomatch.maps.diff.regions import RegionDiff, diff

__all__ = ["RegionDiff", "diff"]
