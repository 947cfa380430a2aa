"""Background chores, which run periodically in every process."""
