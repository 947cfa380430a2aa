"""Measures Restante beside its peers, as docs/reference/benchmarks.md describes."""
