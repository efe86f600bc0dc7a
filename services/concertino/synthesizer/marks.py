"""What a text cites: a mark that names nothing that was checked does not stay."""

from __future__ import annotations

from collections.abc import Sequence

from concertino.contracts.messages import Citation
from concertino.model import marks
from concertino.model.port import Exhibit


def cited(text: str, exhibits: Sequence[Exhibit]) -> tuple[str, tuple[Citation, ...], int]:
    """``text`` without marks that name no exhibit, a citation for each that it names, in the order of the text, and how many
    marks went.

    ``[1]`` in code, inline or fenced, is the code's own and stays as it is; so does ``\\[1]``.
    """
    by_id = {exhibit.id: exhibit.evidence for exhibit in exhibits}
    left, dropped = marks.without(text, lambda id_: id_ not in by_id)
    citations = tuple(
        Citation(id=id_, source=e.source, locator=e.locator, quote=e.quote, digest=e.digest, root=e.root)
        for id_ in marks.ids(left)
        if (e := by_id[id_])
    )
    return left, citations, dropped
