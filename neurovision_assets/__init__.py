"""What exists: the asset graph and its contracts."""
