"""Candidate and served model on the same held-out videos."""
