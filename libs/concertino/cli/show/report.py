"""A report on a terminal: its Markdown set calmly, then the evidence, then one line that sums up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from concertino.cli.show.closing import closing, gaps_to_add, in_order, squashed, unmentioned_conflicts
from concertino.cli.show.found import CAVEAT, TITLE, found_so_far, left_out
from concertino.cli.show.quote import LINES, REPEATED, quote
from concertino.cli.show.text import clean, place, short_roots
from concertino.contracts.view import ConflictView, ReportView, TaskView

THEME = Theme(
    {
        "markdown.h1": "bold",
        "markdown.h2": "bold",
        "markdown.h3": "bold",
        "markdown.h4": "italic",
        "markdown.code": "cyan",
        "markdown.code_block": "cyan",
        "markdown.block_quote": "dim",
        "markdown.list": "none",
        "markdown.item.bullet": "dim",
        "markdown.item.number": "dim",
        "markdown.table.border": "dim",
        "markdown.table.header": "bold",
    }
)
"""Quiet styles: weight for structure, one colour for code, none for decoration."""

STATUS_STYLES: Mapping[str, str] = {"answered": "green", "partial": "yellow", "failed": "red", "cancelled": "yellow"}


class _Heading(Heading):
    LEVEL_ALIGN: ClassVar[dict[str, JustifyMethod]] = {f"h{level}": "left" for level in range(1, 7)}


class _CodeBlock(CodeBlock):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = Syntax(str(self.text).rstrip(), self.lexer_name, theme="ansi_dark", background_color="default", word_wrap=True)
        yield Padding(code, (0, 0, 0, 2))


class _Markdown(Markdown):
    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _Heading,
        "fence": _CodeBlock,
        "code_block": _CodeBlock,
    }


def report(task: TaskView, seconds: float | None) -> Iterator[RenderableType]:
    """Everything there is to print for ``task``, top to bottom. ``seconds`` is how long it took."""
    if task.report:
        yield ""
        # Links are shown, not hidden behind their text: the text is a model's, the target should be seen.
        yield _Markdown(clean(task.report.text), hyperlinks=False)
        yield from _conflicts(task.report)
        yield from _gaps(task.report)
        yield from _evidence(task.report)
    yield from _found(task)
    yield ""
    status, rest = closing(task, seconds)
    yield Text.assemble((status, f"bold {STATUS_STYLES.get(status, '')}".strip()), (rest, "dim"))


def _found(task: TaskView) -> Iterator[RenderableType]:
    findings = found_so_far(task)
    if not findings:
        return
    yield from _title(TITLE)
    yield Text(CAVEAT, style="dim")
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for claim, evidence in findings:
        table.add_row(Text("  –", style="dim"), Text(claim))
        for where, said in evidence:
            table.add_row("", Text(where, style="cyan"))
            table.add_row("", quote(said, LINES))
    yield table
    if more := left_out(task):
        yield Text(more, style="dim")


def _title(text: str) -> Iterator[RenderableType]:
    yield ""
    yield Text(text, style="bold")


def _conflicts(report: ReportView) -> Iterator[RenderableType]:
    conflicts = unmentioned_conflicts(report)
    if conflicts:
        yield from _title("Conflicts")
    for conflict in conflicts:
        yield Padding(_conflict(conflict), (0, 0, 0, 2))


def _conflict(conflict: ConflictView) -> Text:
    text = Text(clean(conflict.statement))
    for position in conflict.positions:
        text.append(f"\n– {clean(position.claim)}")
        if position.citations:
            text.append(" " + " ".join(f"[{clean(id_)}]" for id_ in position.citations), style="dim")
    if conflict.resolution:
        text.append(f"\n→ {clean(conflict.resolution)}")
    if conflict.why:
        text.append(f" ({clean(conflict.why)})", style="dim")
    return text


def _gaps(report: ReportView) -> Iterator[RenderableType]:
    gaps = gaps_to_add(report)
    if gaps:
        yield from _title("Not found")
        table = Table.grid(padding=(0, 1))
        for gap in gaps:
            table.add_row(Text("  –", style="dim"), Text(clean(gap)))
        yield table


def _evidence(report: ReportView) -> Iterator[RenderableType]:
    if not report.citations:
        return
    yield from _title("Evidence")
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(ratio=1, overflow="fold")
    text, roots = squashed(report.text), short_roots(citation.root for citation in report.citations)
    for number, citation in enumerate(in_order(report.citations)):
        where = Text(place(citation.source, citation.locator, roots[citation.root]), style="cyan")
        lines = REPEATED if squashed(citation.quote) in text else LINES
        if number:
            table.add_row()
        table.add_row(Text(f"  [{clean(citation.id)}]", style="dim"), where)
        table.add_row("", quote(citation.quote, lines))
    yield table
