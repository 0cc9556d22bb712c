"""What happened in the operation: spans of time that rules find in pictures, phases, instruments and anatomy."""
