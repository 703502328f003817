"""Roads as every reader makes them: ways as drawn, cut into streets between junctions, whatever the source."""
