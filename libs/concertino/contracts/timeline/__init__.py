"""Where the time of a task went, and its tokens and money: drawn from its log alone. Pure; its names are a contract."""

from concertino.contracts.timeline.shapes import Doing, KindTotal, Part, Phase, PhaseTotal, Row, RowStatus, Segment, Timeline
from concertino.contracts.timeline.timeline import timeline

__all__ = [
    "Doing",
    "KindTotal",
    "Part",
    "Phase",
    "PhaseTotal",
    "Row",
    "RowStatus",
    "Segment",
    "Timeline",
    "timeline",
]
