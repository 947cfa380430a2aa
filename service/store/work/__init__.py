"""Work in the background: tasks, expiry, dead letters, clean-up."""
