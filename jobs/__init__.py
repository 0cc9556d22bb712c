"""What a person or a clock can start."""
