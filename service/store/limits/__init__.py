"""Limits of projects, enforced over all processes."""
