"""Source and seed of the model repository: a folder a model, in the layout of Triton."""
