"""The marts: what dbt makes of the platform's own records, for questions about all videos and all models."""
