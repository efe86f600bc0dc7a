"""The message bus: a port, NATS JetStream behind it, and a twin in memory."""
