"""A candidate: a model trained on a version of the data, not yet judged."""
