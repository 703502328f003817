"""geomatch ranks the fastest available backup units by road time, says who may go, and why."""
