"""An agency's own corrections to a road map: a layer, applied again at every build."""
