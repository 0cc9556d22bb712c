"""What a person types: thin clients of the platform, one module a command."""
