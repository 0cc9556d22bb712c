"""The servers that production uses, started on this machine from packages: for `make up-services` and for tests."""
