"""Ways messages come besides HTTP. Each fills an intake and is run as a task until it is cancelled."""
