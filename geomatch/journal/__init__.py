"""What happened, in order and for good: an append-only, hash-chained log of what was told and what was answered."""
