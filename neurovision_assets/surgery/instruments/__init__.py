"""Which instruments are in view, where, and for how long each one is used."""
