"""A data set: tables in a folder, versioned by DVC."""
