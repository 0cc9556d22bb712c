"""Home of the instruments in a frame: network, training, file."""
