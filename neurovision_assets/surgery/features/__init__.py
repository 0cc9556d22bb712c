"""A vector for every stored frame: what the pictures look like, in numbers that the segmenter reads."""
