"""Computing models: the repository they lie in, the engine that runs them, the calls that stages make."""
