"""Which operations are learned from, and which judge."""
