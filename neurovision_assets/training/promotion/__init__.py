"""Promotion and rollback: the runtime repository first, MLflow's aliases after it."""
