"""Whether a candidate may be served: thresholds, the comparison with what is served, tests in staging."""
