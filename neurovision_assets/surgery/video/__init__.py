"""The recording itself: what it is, and a copy without anything that names a person."""
