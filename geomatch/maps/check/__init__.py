"""What is wrong with a service boundary layer, feature by feature."""

from geomatch.maps.check.layer import check_layer

__all__ = ["check_layer"]
