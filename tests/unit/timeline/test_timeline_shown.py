"""A timeline as people see it: a chart on a terminal, honest at 80 columns, and a page that needs nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console
from stories import REPORT, ROUND, START, Told, hedged, told, wide

from concertino.cli.show.report import THEME
from concertino.cli.show.trace import page, terminal
from concertino.cli.show.trace.bars import scale, ticks
from concertino.cli.show.trace.folding import Folded, fold
from concertino.cli.show.trace.words import Step, percent, short, shortened, took
from concertino.contracts import messages as m
from concertino.contracts.facts import Fact
from concertino.contracts.state import fold as folded_state
from concertino.contracts.subjects import FactName
from concertino.contracts.timeline import Timeline, timeline
from concertino.contracts.trace import Trace

HOSTILE = "\x1b[2J</title><script>alert(1)</script>\u202e\r\n"


def of(story: list[Told], until: float = 1e9, now: float = 1e6) -> Timeline:
    return timeline(told(story, until), START + now)


def shown(found: Timeline, width: int = 80, *, plain: bool = False, room: int | None = 40, colour: bool = False) -> list[str]:
    console = Console(
        file=StringIO(), width=width, theme=THEME, highlight=False, markup=False, emoji=False, force_terminal=colour
    )
    for part in terminal(found, width, plain=plain, room=room):
        console.print(part)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def renamed(old: str, new: str) -> list[Told]:
    """ROUND, where a subtask has another name."""
    compare = m.Subtask(id=new, kind="general", objective=new, depends_on=("limits", "client"))
    story = [(name.replace(old, new), fact, time) for name, fact, time in ROUND]
    plan = next(fact.plan for _, fact, _ in ROUND if isinstance(fact, m.Planned))
    assert plan is not None
    return [
        (name, m.Planned(plan=m.Plan(subtasks=(*plan.subtasks[:2], compare)), seconds=3.0) if name == "plan.0" else fact, time)
        for name, fact, time in story
    ]


def test_a_chart_of_eighty_columns() -> None:
    """A second is a column here, so each bar can be counted."""
    assert shown(of(ROUND))[:15] == [
        "How often does the client retry?                               answered · 30.0 s",
        "task t1 · 2027-01-15 08:00:00 UTC",
        "",
        "                        0         10 s      20 s",
        "◆ ✓ planning plan       ░███                               3.0 s   1.0k    $0.01",
        "◆ ✓ limits   web            ░╳╳╳╳┄┄████████               12.0 s  21.0k    $0.26",
        "      attempt 1 on web-1 in vain after 4.0 s: overloaded",
        "  ✓ client   code           ░█████                         5.0 s  20.0k    $0.25",
        "◆ ✓ compare  general        ···············░██             2.0 s",
        "      after limits, client",
        "◆ ✓ report   synthesize                       ░██████      6.0 s",
        "· waits for others  ░ queued  █ at work  ╳ in vain  ┄ before retry  ◆ critical",
        "",
        "◆ critical path  planning 4.0 s 13 % → limits 15.0 s 50 % → compare 3.0 s 10 % →",
        "report 7.0 s 23 % · between them 1.0 s 3 %",
    ]


def test_where_the_time_went_is_a_table() -> None:
    text = "\n".join(shown(of(ROUND)))
    assert re.search(r"work +10\.0 s +33 % +15\.0 s", text)
    assert re.search(r"attempts in vain +6\.0 s +20 % +6\.0 s", text)
    assert re.search(r"waiting for dependencies +15\.0 s", text)
    assert re.search(r"together +30\.0 s +100 %", text)
    assert re.search(r"web +1 +2 +1\.0 s +8\.0 s +6\.0 s +50 % +21\.0k +\$0\.26", text)
    assert "5 pieces of work · 24.0 s of work in 30.0 s · 6 calls · 42,000 tokens · $0.52" in text


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("plain", [True, False])
def test_no_line_is_wider_than_the_window(width: int, plain: bool) -> None:
    for story in (ROUND, wide(300)):
        lines = shown(of(story), width, plain=plain)
        assert max(map(cell_len, lines)) <= width
        assert not plain or "\n".join(lines).replace("·", "").replace("…", "").isascii()


def test_a_wider_window_is_used() -> None:
    [narrow] = [line for line in shown(of(ROUND), 80) if " limits " in line and "█" in line]
    [broad] = [line for line in shown(of(ROUND), 200) if " limits " in line and "█" in line]
    assert broad.count("█") > 4 * narrow.count("█")


def test_colour_where_there_is_a_terminal_and_nowhere_else() -> None:
    assert not any("\x1b" in line for line in shown(of(ROUND)))
    assert any("\x1b[32m" in line for line in shown(of(ROUND), colour=True))


def test_what_goes_on_has_an_open_end() -> None:
    lines = shown(of(ROUND, until=12.0, now=15.0))
    [limits] = [line for line in lines if " limits " in line and "█" in line]
    assert "█▶" in limits
    assert lines[0].endswith("running · 15.0 s")


def test_where_no_model_was_asked_nothing_is_said_of_cost() -> None:
    text = "\n".join(shown(of(wide(4)))) + page(of(wide(4)))
    assert "$" not in text
    assert "tokens" not in re.sub(r"<style>.*</style>", "", text, flags=re.DOTALL)


def test_of_a_thousand_rows_those_are_shown_that_tell_something() -> None:
    found = of(wide(1000))
    rows = fold(found.rows, 40)
    kept = [row for row in rows if not isinstance(row, Folded)]
    folded = [row for row in rows if isinstance(row, Folded)]
    assert len(rows) <= 42
    assert sum(len(group.rows) for group in folded) + len(kept) == 1001
    assert {row.name for row in kept if row.status == "failed"} == {f"s{n:04}" for n in range(99, 1000, 100)}
    assert {row.name for row in found.rows if row.critical > 0} <= {row.name for row in kept}
    assert {group.kind for group in folded} == {"web", "code"}
    assert all((group.name, group.text) == (f"{len(group.rows)} more", f"{len(group.rows)} complete") for group in folded)
    lines = shown(found)
    assert len(lines) < 90
    assert sum(" more" in line and "█" in line for line in lines) == 2
    assert len(shown(found, room=None)) > 1000


def test_few_rows_are_all_shown() -> None:
    found = of(wide(30))
    assert fold(found.rows, 40) == list(found.rows)


def test_a_long_path_names_its_longest_steps() -> None:
    path = [Step(f"r{n}", f"s{n}", float(n), n / 100) for n in range(1, 10)] + [Step("", "between them", 0.5, 0.005)]
    assert shortened(path, 20) == path
    short_ = shortened(path, 4)
    assert [step.name for step in short_] == ["6 more", "s7", "s8", "s9", "between them"]
    assert sum(step.seconds for step in short_) == sum(step.seconds for step in path)


def test_what_others_wrote_moves_no_cursor_and_runs_nothing() -> None:
    story = [*renamed("compare", HOSTILE), ("cancel", m.Cancel(reason=HOSTILE), 25.0)]
    story = [(n, m.Submitted(request=HOSTILE) if n == "submitted" else f, t) for n, f, t in story]
    found = of(story)
    assert any(HOSTILE in row.name for row in found.rows)
    text = "\n".join(shown(found))
    assert "\x1b" not in text
    assert "\u202e" not in text
    document = page(found)
    assert "<script" not in document
    assert "\x1b" not in document
    assert "\u202e" not in document


class Reader(HTMLParser):
    """What a page is made of."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data + " "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("story", [ROUND, wide(300), ROUND[:1]], ids=["a round", "wide", "just submitted"])
def test_a_page_stands_alone(story: list[Told]) -> None:
    read = Reader(page(of(story)))
    assert read.open == []
    assert not {tag for tag, _ in read.tags} & {"script", "link", "img", "iframe", "object"}
    assert all(not name.startswith("on") for _, attributes in read.tags for name in attributes)
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(a["href"])[1:] for a in read.all("a")} <= {str(id_) for id_ in ids}
    assert all(str(a["href"]).startswith("#") for a in read.all("a"))
    assert "http" not in re.sub(r'http-equiv="', "", page(of(story)))


def test_a_page_can_be_read_aloud() -> None:
    read = Reader(page(of(ROUND)))
    assert read.all("html") == [{"lang": "en"}]
    bars = [a for a in read.all("div") if a.get("role") == "img"]
    assert [a["aria-label"] for a in bars][1] == (
        "from 4.0 s: to be queued 500 ms, queued 500 ms, in vain 4.0 s, before retry 2.0 s, at work 8.0 s "
        "(attempt 1 on web-1 in vain after 4.0 s: overloaded)"
    )
    assert len(bars) == 5
    headers = [a.get("scope") for a in read.all("th")]
    assert set(headers) == {"col", "row"}


def test_a_page_says_all_that_the_terminal_says() -> None:
    text = " ".join(Reader(page(of(ROUND))).text.split())
    for said in (
        "answered",
        "limits",
        "after limits , client",
        "overloaded",
        "50 %",
        "15.0 s",
        "$0.52",
        "42,000 tokens",
        "task t1",
    ):
        assert said in text


def test_folded_rows_stand_below_on_a_page() -> None:
    read = Reader(page(of(wide(300))))
    assert [a["id"] for a in read.all("details")] == ["more-0", "more-1"]
    assert sum(str(a.get("id", "")).startswith("row-") for a in read.all("tr")) == 301


def test_the_trace_id_is_shown_where_there_is_one() -> None:
    assert "trace" not in shown(of(ROUND))[1]
    id_ = "4bf92f3577b34da6a3ce929d0e0e4736"
    submitted = ROUND[0][1]
    state = folded_state("t1", [Fact(FactName("submitted", ""), submitted, 1, START, Trace(f"00-{id_}-00f067aa0ba902b7-01"))])
    found = timeline(state, START + 1)
    assert found.trace == id_
    assert shown(found)[1].endswith(f" · trace {id_}")
    assert id_ in page(found)


def test_a_reason_and_notes_are_said() -> None:
    story = [(n, f, t) for n, f, t in ROUND if n != "outcome"]
    story += [("cancel", m.Cancel(reason="too dear"), 29.5)]
    story += [("outcome", m.Outcome(status=m.OutcomeStatus.CANCELLED, reason="too dear for us", report=REPORT), 30.0)]
    lines = shown(of(story))
    assert lines[2] == "too dear for us"
    assert lines[-1] == "cancelled by the caller after 29.5 s: too dear"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, ""), (0.0001, "1 ms"), (0.34, "340 ms"), (1, "1.0 s"), (125, "2 m 05 s"), (4000, "1 h 06 m")]
)
def test_took(seconds: float, said: str) -> None:
    assert took(seconds) == said


@pytest.mark.parametrize(("share", "said"), [(0, ""), (0.001, "<1 %"), (0.333, "33 %"), (1, "100 %")])
def test_percent(share: float, said: str) -> None:
    assert percent(share) == said


@pytest.mark.parametrize(("count", "said"), [(0, "0"), (950, "950"), (12_345, "12.3k"), (4_600_000, "4.6M")])
def test_short(count: int, said: str) -> None:
    assert short(count) == said


def test_the_scale_marks_round_times() -> None:
    assert ticks(30.0, 4) == [0.0, 10.0, 20.0, 30.0]
    assert ticks(0.0, 4) == [0.0]
    assert scale(30.0, 30) == "0         10 s      20 s      "
    assert scale(0.4, 24) == "0           200 ms      "
    assert len(scale(1e9, 7)) == 7


@pytest.mark.parametrize(
    ("won", "notes"),
    [
        (True, ["attempt 1 on web-1 in vain after 6.0 s: another attempt was first", "a second attempt on web-2 was first"]),
        (False, ["a second attempt on web-2 in vain after 4.5 s: another attempt was first"]),
    ],
)
def test_both_attempts_at_what_was_slow_are_drawn_one_below_the_other(won: bool, notes: list[str]) -> None:
    notes = ["sent a second time, as 5.0 s of work are long for its kind", *notes]
    found = of(hedged(won=won))
    lines = shown(found)
    [at] = [i for i, line in enumerate(lines) if " limits " in line and "█" in line]
    first, beside = lines[at], lines[at + 1]
    assert beside.startswith("    + ")
    assert set(beside) == {" ", "+", "╳"}
    assert first.index("█") <= beside.index("╳") <= len(first)
    assert [line.strip() for line in lines[at + 2 : at + 2 + len(notes)]] == notes
    assert all(note in page(found) for note in notes)
    assert "a second attempt on web-2 goes on beside it" in "\n".join(shown(of(hedged(won=won), until=9.0, now=10.0)))
