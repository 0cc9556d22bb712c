"""Tests on real parts: a real instance, real files, real servers, a real browser."""
