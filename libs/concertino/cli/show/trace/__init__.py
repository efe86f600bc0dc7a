"""A timeline as people read it: on a terminal and as a page. Pure: no I/O, no clock."""

from concertino.cli.show.trace.page import page
from concertino.cli.show.trace.terminal import terminal

__all__ = ["page", "terminal"]
