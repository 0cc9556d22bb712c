"""Home of the tissue classes in a frame: network, training, file."""
