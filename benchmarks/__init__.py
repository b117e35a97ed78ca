"""Measurements: ``python -m benchmarks.<name> [--seed N] [--short] [--json]`` prints a table of figures."""
