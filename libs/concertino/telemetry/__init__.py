"""Logs now; metrics and traces where they are needed."""
