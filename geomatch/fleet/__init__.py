"""Live units: what is known of each, since when, and where on the road that is."""
