"""Secrets do not leave: what looks like a credential is made unreadable wherever a text comes in, and wherever one goes out.

``masked`` does it to a text or to anything that holds texts, ``hits`` says where in a text there are any, ``learn`` names
values that are secret whatever they look like, and ``without_credentials`` takes them out of an address. ``visible`` takes
out what no reader sees.
"""

from concertino.masking.addresses import credentials, without_credentials
from concertino.masking.detect import Hit, hits
from concertino.masking.known import learn, learn_environment, without_known
from concertino.masking.mark import MARK
from concertino.masking.unseen import visible
from concertino.masking.values import changed, masked

__all__ = [
    "MARK",
    "Hit",
    "changed",
    "credentials",
    "hits",
    "learn",
    "learn_environment",
    "masked",
    "visible",
    "without_credentials",
    "without_known",
]
