"""Makes operations with perfect ground truth, deterministic by seed."""
