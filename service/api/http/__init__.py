"""HTTP itself: connections, requests, responses and problems. Nothing here depends on queues."""
