"""Surgical video, one room a stage, in the order the data flows."""
