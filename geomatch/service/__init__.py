"""The HTTP service: the only place for fastapi."""
