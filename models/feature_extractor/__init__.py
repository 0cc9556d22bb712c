"""Home of the backbone: its network, its training, its file."""
