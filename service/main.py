"""Composition root: settings → database → app → loops."""
