"""Configuration in the database: queues, topics, webhooks, keys and projects."""
