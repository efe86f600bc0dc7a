"""What a tool that checks returns: findings that can be reported as they are."""

from __future__ import annotations

from msgspec import Struct

from concertino.contracts.messages import Passage, Severity, Share


class Observation(Struct, frozen=True):
    """Something that is wrong in a source, where it stands, and what to do about it."""

    topic: str
    """What was checked, in a word or two: what observations are counted by."""
    claim: str
    """One sentence. It speaks of its source by path, and repeats no secret."""
    severity: Severity
    confidence: Share
    """How sure it is that this is as the claim says."""
    passages: tuple[Passage, ...]
    """What shows it, the plainest first. Each is small enough to be quoted whole."""
    advice: str = ""


class Checked(Struct, frozen=True):
    """One check of one or several sources. ``found``: worst first. Nothing found is a result too, if anything was looked at."""

    topic: str
    found: tuple[Observation, ...]
    looked_at: str = ""
    """As in "412 files of Python"; empty where there was nothing to look at."""
    left_out: tuple[str, ...] = ()
    """What was not checked, and why: the same words for the same reason, whatever the source."""
