"""Whether a version of the data may be learned from: Great Expectations' checkpoint ``surgical_data_checkpoint``."""
