"""Home of the phases over a whole operation: network, training, taxonomies, file."""
