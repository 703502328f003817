"""From streets to a turn-expanded network: directed edges, turns with their costs, restrictions worked in."""
