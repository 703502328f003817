"""Backup: who is fastest, who is not sent, and why."""
