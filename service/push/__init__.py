"""Delivery of messages to webhooks."""
