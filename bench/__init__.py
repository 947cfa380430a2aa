"""Measures Restante beside its peers: docs/reference/benchmarks.md."""
