"""Policies: each a small pure module that returns a decision and does nothing itself."""
