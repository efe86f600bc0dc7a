"""The tools over documents, for every worker that reads some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from concertino.contracts.messages import Source
from concertino.docs.tools import Docs
from concertino.documents.addresses import networks
from concertino.model.port import Model
from concertino.runtime.settings import Settings
from concertino.worker import Context
from concertino.worker.toolsets import Toolset

ABILITIES = {
    "search": "find the passages of the documents that answer best",
    "read": "read a part of a document in full",
    "outline": "list the headings of a document, or of all",
    "list_documents": "list the documents, with their titles",
}


def abilities(settings: Settings, _: Model) -> Mapping[str, str]:
    """The tools. :class:`~concertino.contracts.errors.BadSetting` where a setting of theirs is wrong."""
    networks(settings.allow_networks)
    return ABILITIES


async def _open(context: Context, sources: Sequence[Source]) -> Docs:
    return await Docs.open(sources, context.cache, networks(context.settings.allow_networks))


DOCS = Toolset("docs", sources=("docs",), open=_open, abilities=abilities)
