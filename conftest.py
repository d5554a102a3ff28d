"""Fixtures shared by every test of the repository."""

pytest_plugins = ["tests.fixtures_servers"]
