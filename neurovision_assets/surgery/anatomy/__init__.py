"""Which tissues each frame shows, as masks with their areas."""
