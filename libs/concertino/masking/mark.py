"""What stands where a secret stood."""

from __future__ import annotations

MARK = "********"
"""The same for all: nothing in it comes of the secret, so nobody can try out what it might have been. It is short, as a model
has to copy it to quote the line that it is in."""
