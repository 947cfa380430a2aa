"""Chores that are done by the clock."""
