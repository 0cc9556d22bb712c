"""One module a change of the tables, each with its way back."""
