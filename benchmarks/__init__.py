"""Scripts that reproduce the figures in the README. Never run by the tests."""
