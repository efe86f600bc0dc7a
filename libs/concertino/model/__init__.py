"""Model access: a port and its adapters."""
