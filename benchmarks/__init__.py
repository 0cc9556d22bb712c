"""Figures that the project promises, measured: one module a question, ``make bench`` runs them all."""
