"""Whether new videos are still like those that the served models were made for."""
