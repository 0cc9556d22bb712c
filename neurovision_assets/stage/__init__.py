"""What every stage has in common: one recipe a video, run for one partition or many, failures a video."""
