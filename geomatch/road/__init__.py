"""Roads as plain arrays, and exact times on them. Knows nothing of police."""
