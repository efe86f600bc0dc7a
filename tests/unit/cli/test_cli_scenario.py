"""A question in a file: what it holds becomes a task, options replace it, and mistakes are named by file and field."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import Any

import pytest

from concertino.cli.question import Question, TaskOptions, question
from concertino.contracts.errors import BadSetting, ConcertinoError, InvalidMessage, InvalidPlan, SourceError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scenario" / "papers").mkdir(parents=True)
    (tmp_path / "src").mkdir()
    for name in ("b.pdf", "a.pdf", "notes.md"):
        (tmp_path / "scenario" / "papers" / name).write_text("x")
    return tmp_path / "scenario"


def asked(folder: Path, text: str, **options: Any) -> Question:
    (folder / "task.toml").write_text(f'shows = "How."\n{text}', encoding="utf-8")
    return question(f"@{folder}", TaskOptions(**options))


def test_everything_it_may_hold(folder: Path) -> None:
    text = """
        request = "Why?"
        code = ["../src", "https://example.org/a.git#v1", "{site-packages}/rich"]
        docs = ["papers/*.pdf", "https://example.org/guide"]
        url = ["https://example.org/a"]
        source = ["legal=papers", "tickets=s3://x"]
        deadline = "15m"
        max_tokens = 1000
        max_subtasks = 60
        max_rounds = 1
        effort = "high"
        lane = "batch"
    """
    made = asked(folder, text)
    assert made.request == "Why?"
    assert [(s.kind, s.location, s.ref) for s in made.sources] == [
        ("code", str(folder.parent / "src"), None),
        ("code", "https://example.org/a.git", "v1"),
        ("code", f"{sysconfig.get_path('purelib')}/rich", None),
        ("docs", str(folder / "papers" / "a.pdf"), None),
        ("docs", str(folder / "papers" / "b.pdf"), None),
        ("docs", "https://example.org/guide", None),
        ("web", "https://example.org/a", None),
        ("legal", str(folder / "papers"), None),
        ("tickets", "s3://x", None),
    ]
    limits = made.limits
    assert (limits.deadline, limits.max_tokens, limits.max_subtasks, limits.max_rounds) == (900, 1000, 60, 1)
    assert (limits.effort, made.lane) == ("high", "batch")


def test_options_replace_what_it_says_field_by_field(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "papers")
    text = 'request = "Why?"\ncode = ["../src"]\ndocs = ["papers"]\neffort = "high"\nlane = "batch"\nmax_rounds = 1'
    made = asked(folder, text, docs=["notes.md"], effort="auto", lane="interactive", max_subtasks=3)
    assert [s.location for s in made.sources] == [str(folder.parent / "src"), str(folder / "papers" / "notes.md")]
    assert (made.limits.effort, made.lane, made.limits.max_subtasks, made.limits.max_rounds) == ("auto", "interactive", 3, 1)


def test_a_request_and_a_plan_beside_it(folder: Path) -> None:
    (folder / "request.md").write_text("# What\n\nis it?\n")
    (folder / "plan.json").write_text('[{"id": "s1", "kind": "code", "objective": "Look."}]')
    made = asked(folder, 'plan = "plan.json"')
    assert made.request == "# What\n\nis it?\n"
    assert made.plan is not None


def test_a_file_of_another_name_by_itself(folder: Path) -> None:
    (folder / "other.toml").write_text('shows = "x"\nrequest = "Why?"\ndocs = ["papers"]')
    assert question(f"@{folder / 'other.toml'}", TaskOptions()).sources[0].location == str(folder / "papers")


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("request = ", BadSetting, "task.toml is not TOML"),
        ("", InvalidMessage, "the request is empty"),
        ('request = "x"\ncodes = ["x"]', BadSetting, "task.toml: object contains unknown field `codes`"),
        ('request = "x"\ncode = "src"', BadSetting, "task.toml: code: expected `array`, got `str`"),
        ('request = "x"\ncode = [1]', BadSetting, r"task.toml: code\[0\]: expected `str`, got `int`"),
        ('request = "x"\ncode = ["nope"]', SourceError, "task.toml: code '.*nope' does not exist"),
        ('request = "x"\ncode = [" "]', SourceError, "task.toml: code is empty"),
        ('request = "x"\ncode = ["papers/a.pdf"]', SourceError, "task.toml: code '.*a.pdf' is a file"),
        ('request = "x"\ndocs = ["*.docx"]', SourceError, r"task.toml: docs '\*.docx' matches nothing"),
        ('request = "x"\nurl = ["papers"]', SourceError, "task.toml: url 'papers' is no web address"),
        ('request = "x"\nsource = ["papers"]', BadSetting, "task.toml: source 'papers': write KIND=LOCATION"),
        ('request = "x"\ndeadline = "soon"', BadSetting, "task.toml: deadline 'soon' is no duration"),
        ('request = "x"\nmax_rounds = 11', BadSetting, "task.toml: max_rounds: write a whole number from 1 to 10"),
        ('request = "x"\neffort = "huge"', BadSetting, "task.toml: effort: invalid enum value 'huge'"),
        ('request = "x"\nplan = "plan.json"', BadSetting, "the plan cannot be read from '.*plan.json'"),
        ('request = "x"\nplan = "papers/notes.md"', InvalidPlan, "notes.md"),
    ],
)
def test_mistakes_are_named_by_file_and_field(folder: Path, text: str, error: type[ConcertinoError], said: str) -> None:
    with pytest.raises(error, match=said):
        asked(folder, text)


def test_a_home_that_does_not_exist_is_a_path_that_does_not(folder: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        asked(folder, 'request = "x"\ncode = ["~nobody-of-that-name/src"]')


def test_a_missing_file_and_a_missing_line(folder: Path) -> None:
    with pytest.raises(BadSetting, match=r"folder without a task\.toml"):
        question(f"@{folder}", TaskOptions())
    with pytest.raises(BadSetting, match="the scenario cannot be read"):
        question(f"@{folder / 'nope.toml'}", TaskOptions())
    (folder / "task.toml").write_text('request = "x"')
    with pytest.raises(BadSetting, match="missing required field `shows`"):
        question(f"@{folder}", TaskOptions())


def test_patterns_reach_below_and_paths_that_look_like_patterns_are_paths(folder: Path) -> None:
    (folder / "papers" / "[a]").mkdir()
    (folder / "papers" / "[a]" / "x.md").write_text("x")
    made = asked(folder, 'request = "x"\ndocs = ["**/*.md", "papers/[[]a]", "papers/[a]"]')
    papers = folder / "papers"
    assert [s.location for s in made.sources] == [str(papers / "[a]" / "x.md"), str(papers / "notes.md"), str(papers / "[a]")]


def test_a_mistake_on_the_command_line_is_named_as_an_option(folder: Path) -> None:
    with pytest.raises(BadSetting, match="--max-rounds: write"):
        asked(folder, 'request = "x"\nmax_rounds = 1', max_rounds=11)
