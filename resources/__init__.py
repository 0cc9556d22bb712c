"""The outside world, one class a service: settings, objects, inference, progress."""
