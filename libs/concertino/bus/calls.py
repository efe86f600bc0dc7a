"""The subjects of the server's API that are called here, spelt once: for those who call, and for their permissions."""

from __future__ import annotations

from typing import Final

from concertino.bus.topology import Consumer

INFO: Final = "$JS.API.INFO"

_DIRECT, _PULL = "$JS.API.DIRECT.GET.", "$JS.API.CONSUMER.MSG.NEXT."


def answered_by_many(subject: str) -> bool:
    """Whether the answer to that call is any number of messages."""
    return subject.startswith(_PULL) or (subject.startswith(_DIRECT) and "." not in subject[len(_DIRECT) :])


def create_stream(stream: str) -> str:
    return f"$JS.API.STREAM.CREATE.{stream}"


def update_stream(stream: str) -> str:
    return f"$JS.API.STREAM.UPDATE.{stream}"


def stream_info(stream: str) -> str:
    return f"$JS.API.STREAM.INFO.{stream}"


def purge(stream: str) -> str:
    return f"$JS.API.STREAM.PURGE.{stream}"


def message(stream: str) -> str:
    """One message, in the words of the stream's leader."""
    return f"$JS.API.STREAM.MSG.GET.{stream}"


def direct(stream: str) -> str:
    """Messages, from whichever replica answers."""
    return _DIRECT + stream


def newest(stream: str, subject: str) -> str:
    """The newest message on exactly ``subject``: a permission can name what may be read so. It takes no arguments, so none can
    ask for another."""
    return f"{_DIRECT}{stream}.{subject}"


def create_consumer(consumer: Consumer) -> str:
    """With its filter, where it has one: so that a permission can name it."""
    path = f"$JS.API.CONSUMER.CREATE.{consumer.stream}.{consumer.name}"
    return f"{path}.{consumer.filters[0]}" if len(consumer.filters) == 1 else path


def consumer_info(consumer: Consumer) -> str:
    return f"$JS.API.CONSUMER.INFO.{consumer.stream}.{consumer.name}"


def consumers(stream: str) -> str:
    return f"$JS.API.CONSUMER.LIST.{stream}"


def pull(consumer: Consumer) -> str:
    return f"{_PULL}{consumer.stream}.{consumer.name}"


def settle(consumer: Consumer) -> str:
    """Where whatever ``consumer`` delivers is acknowledged."""
    return f"$JS.ACK.{consumer.stream}.{consumer.name}.>"


def key(bucket: str, name: str) -> str:
    return f"$KV.{bucket}.{name}"


def bucket_stream(bucket: str) -> str:
    """A bucket is a stream by another name; this is how the server's own tools find it."""
    return f"KV_{bucket}"


STREAM_DELETED: Final = "$JS.EVENT.ADVISORY.STREAM.DELETED.*"
"""What the server says, to whoever listens just then, where a stream is deleted."""

DISCOVERY: Final = ("$SRV.*", "$SRV.*.*", "$SRV.*.*.*")
"""The NATS micro protocol: every service, one by name, one process."""
