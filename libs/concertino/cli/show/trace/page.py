"""A timeline as a page: one file that holds all it needs, no scripts, readable by eye, by ear and on paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files

from concertino.cli.show.spending import spent
from concertino.cli.show.text import clean, one_line
from concertino.cli.show.trace import words
from concertino.cli.show.trace.bars import at_work, tick_label, ticks
from concertino.cli.show.trace.folding import Folded, fold
from concertino.contracts.timeline import Doing, Part, Row, Segment, Timeline

ROOM = 120
"""Rows that are shown before some are folded: those stand below, to be opened."""
STEPS = 40
"""Steps of the critical path that are named."""
_DENSITY = 120
"""Stretches of time in the bar of folded rows."""
_DOING: Sequence[Doing] = ("blocked", "queued", "working", "in_vain", "retrying")


def page(found: Timeline) -> str:
    """The whole page."""
    title = f"{one_line(found.task)} · {found.status}"
    shown = fold(found.rows, ROOM)
    style = (files(__package__) / "page.css").read_text(encoding="utf-8")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            # Whatever stands in a task, nothing of it is fetched or run.
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{escape(title)}</title>",
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            *_head(found),
            "<main>",
            *_chart(found, shown),
            *_path(found),
            *_sums(found),
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _head(found: Timeline) -> Iterator[str]:
    facts = [
        f'<span class="status {found.status}">{escape(words.outcome(found))}</span>',
        *map(escape, words.summary(found)),
        escape(words.when(found)),
        f"task <code>{escape(one_line(found.task))}</code>",
        *([f"trace <code>{escape(found.trace)}</code>"] if found.trace else []),
    ]
    yield "<header>"
    yield f"<h1>{escape(one_line(found.request, 400) or 'The request is not in the log')}</h1>"
    yield _list("facts", facts)
    if found.notes:
        yield _list("notes", [escape(one_line(note)) for note in found.notes])
    yield "</header>"


def _chart(found: Timeline, shown: Sequence[Row | Folded]) -> Iterator[str]:
    known = words.names(found)
    numbers = {row.id: number for number, row in enumerate(found.rows)}
    chart = _Chart(found, known, numbers)
    yield '<section class="chart">'
    yield "<h2>Timeline</h2>"
    legend = [f'<i class="{doing}"></i>{escape(words.DOING[doing])}' for doing in _DOING]
    yield _list("legend", [*legend, "<b>◆</b> on the critical path"])
    yield from chart.table(shown, "Each piece of work, and what its time went into")
    for number, folded in enumerate(row for row in shown if isinstance(row, Folded)):
        summary = escape(f"{folded.name} of {folded.kind}: {folded.text}")
        yield f'<details id="more-{number}"><summary>{summary}</summary>'
        yield from chart.table(folded.rows, f"{folded.name} of {folded.kind}")
        yield "</details>"
    yield "</section>"


class _Chart:
    """Draws rows on the scale of the whole task. ``numbers`` are what rows are linked by: their names may be anything."""

    def __init__(self, found: Timeline, known: Mapping[str, str], numbers: Mapping[str, int]) -> None:
        self._total, self._known, self._numbers = found.seconds, known, numbers
        self._priced = bool(spent(found.usage))
        self._folded = 0
        self._critical: dict[str, list[Segment]] = {}
        for segment in found.path:
            self._critical.setdefault(segment.row, []).append(segment)

    def table(self, rows: Iterable[Row | Folded], caption: str) -> Iterator[str]:
        marks = "".join(
            f'<span style="left:{self._percent(tick)}">{escape(tick_label(tick))}</span>'
            for tick in ticks(self._total, 8)
            if tick <= self._total * 0.95
        )
        priced = '<th scope="col" class="number tokens">tokens</th><th scope="col" class="number cost">cost</th>'
        yield f'<table aria-label="{escape(caption)}">'
        yield f'<thead><tr><th scope="col" class="work">work</th><th scope="col"><div class="scale">{marks}</div></th>'
        yield f'<th scope="col" class="number">took</th>{priced if self._priced else ""}</tr></thead>'
        yield "<tbody>"
        for row in rows:
            yield self._folded_row(row) if isinstance(row, Folded) else self._row(row)
        yield "</tbody></table>"

    def _row(self, row: Row) -> str:
        tokens, cost = words.spending(row.usage)
        critical = ' class="critical"' if row.critical > 0 else ""
        bars = "".join(self._part(row, part, last=part is row.parts[-1]) for part in row.parts)
        bars += "".join(self._mark(segment) for segment in self._critical.get(row.id, ()))
        beside = "".join(self._part(row, part, last=False) for part in row.beside)
        beside = f'<div class="bar" aria-hidden="true">{beside}</div>' if beside else ""
        said = "".join(
            f'<span class="more{" bad" if note.bad else ""}">{escape(note.text)}</span>' for note in words.notes(row)
        )
        text = (
            f'<span class="text" title="{escape(clean(row.text))}">{escape(one_line(row.text, 200))}</span>' if row.text else ""
        )
        return (
            f'<tr id="row-{self._numbers[row.id]}"{critical}>'
            f'<th scope="row"><span class="name">{escape(self._known[row.id])}</span> '
            f'<span class="kind">{escape(one_line(row.kind, 32))} · {row.status}</span>{text}{self._after(row)}</th>'
            f'<td><div class="bar" role="img" aria-label="{escape(words.aloud(row, self._known))}">{bars}</div>'
            f"{beside}{said}</td>"
            f'<td class="number">{words.took(words.worked(row))}</td>{self._money(tokens, cost)}</tr>'
        )

    def _folded_row(self, folded: Folded) -> str:
        counts = at_work(folded.rows, self._total, _DENSITY)
        most = max(counts, default=0.0) or 1.0
        places = [(i / _DENSITY, 0.15 + 0.85 * count / most) for i, count in enumerate(counts) if count > 0]
        bars = "".join(
            f'<i class="working" style="left:{left:.2%};width:{1 / _DENSITY:.2%};opacity:{opacity:.2f}"></i>'
            for left, opacity in places
        )
        number, self._folded = self._folded, self._folded + 1
        aloud = f"{folded.text}; at most about {max(counts, default=0.0):.0f} at work at once"
        took = words.took(folded.most)
        return (
            f'<tr><th scope="row"><a class="name" href="#more-{number}">{escape(folded.name)}</a> '
            f'<span class="kind">{escape(folded.kind)}</span><span class="more">{escape(folded.text)}</span></th>'
            f'<td><div class="bar" role="img" aria-label="{escape(aloud)}">{bars}</div></td>'
            f'<td class="number">{f"up to {took}" if took else ""}</td>{self._money("", "")}</tr>'
        )

    def _part(self, row: Row, part: Part, *, last: bool) -> str:
        if not part.seconds and not part.attempt:
            return ""
        going = " going" if last and row.status == "running" else ""
        attempt = f"{words.attempt(part)}: " if part.attempt else ""
        why = f" ({one_line(part.why)})" if part.why else ""
        title = escape(f"{attempt}{words.DOING[part.doing]}, {words.took(part.seconds) or '0 s'}{why}")
        left, width = self._percent(part.start), self._percent(part.seconds)
        return f'<i class="{part.doing}{going}" style="left:min({left},calc(100% - 2px));width:{width}" title="{title}"></i>'

    def _mark(self, segment: Segment) -> str:
        return f'<b style="left:{self._percent(segment.start)};width:{self._percent(segment.seconds)}"></b>'

    def _after(self, row: Row) -> str:
        if not row.after:
            return ""
        links = ", ".join(
            f'<a href="#row-{self._numbers[id_]}">{escape(self._known[id_])}</a>' for id_ in row.after if id_ in self._numbers
        )
        return f'<span class="more">after {links}</span>'

    def _money(self, tokens: str, cost: str) -> str:
        if not self._priced:
            return ""
        return f'<td class="number tokens">{escape(tokens)}</td><td class="number cost">{escape(cost)}</td>'

    def _percent(self, seconds: float) -> str:
        return f"{min(seconds / self._total, 1.0) if self._total else 0.0:.3%}"


def _path(found: Timeline) -> Iterator[str]:
    numbers = {row.id: number for number, row in enumerate(found.rows)}
    yield "<section><h2>Critical path: what the task waited for</h2>"
    items = []
    for step in words.shortened(words.steps(found), STEPS):
        name = f'<a href="#row-{numbers[step.row]}">{escape(step.name)}</a>' if step.row else escape(step.name)
        items.append(
            f'<span>{name}</span><span class="number">{words.took(step.seconds) or "0 s"}</span>'
            f'<span class="number">{words.percent(step.share)}</span><span class="share" style="width:{step.share:.2%}"></span>'
        )
    yield _list("path", items, tag="ol")
    yield "</section>"


def _sums(found: Timeline) -> Iterator[str]:
    yield '<section class="sums"><div class="scroll"><h2>Where the time went</h2>'
    together = ("together", words.took(found.seconds), words.percent(1.0 if found.seconds else 0.0), "")
    yield from _table(("", "critical path", "share", "all rows"), [*words.phases(found), together], last=True)
    priced = bool(spent(found.usage))
    columns = len(words.KINDS) if priced else len(words.KINDS) - 2
    yield '</div><div class="scroll"><h2>By kind of work</h2>'
    yield from _table(words.KINDS[:columns], [row[:columns] for row in words.kinds(found)])
    yield "</div></section>"


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, last: bool = False) -> Iterator[str]:
    head = "".join(f'<th scope="col"{" class=number" if i else ""}>{escape(header)}</th>' for i, header in enumerate(headers))
    yield f"<table><thead><tr>{head}</tr></thead><tbody>"
    every = list(rows)
    for number, (name, *cells) in enumerate(every, 1):
        all_ = ' class="all"' if last and number == len(every) else ""
        yield (
            f'<tr{all_}><th scope="row">{escape(name)}</th>'
            + "".join(f'<td class="number">{escape(c)}</td>' for c in cells)
            + "</tr>"
        )
    yield "</tbody></table>"


def _list(class_: str, items: Iterable[str], tag: str = "ul") -> str:
    return f'<{tag} class="{class_}">' + "".join(f"<li>{item}</li>" for item in items) + f"</{tag}>"
