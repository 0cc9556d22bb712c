"""Pictures out of a recording: chosen, upright, of one size, measured, compressed."""
