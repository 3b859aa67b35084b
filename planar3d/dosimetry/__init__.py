"""From activity over time to absorbed dose."""
