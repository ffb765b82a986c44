"""HTTP uploads and webhooks."""
