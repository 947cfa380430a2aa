"""Storing, leasing, settling and moving messages."""
