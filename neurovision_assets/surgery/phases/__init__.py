"""Which phase of the operation each frame belongs to, and from when to when each phase lasts."""
