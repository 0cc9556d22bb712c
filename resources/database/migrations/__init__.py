"""Alembic's environment of the application database."""
