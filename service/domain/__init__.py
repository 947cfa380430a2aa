"""The verbs, whoever asks."""
