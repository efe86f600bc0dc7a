"""The judge decides what is claimed of the product: each of its rules, on replies made for it."""

from __future__ import annotations

import pytest

from evals.retrieval.answerer import Citation, Reply
from evals.retrieval.baseline import STOP_WORDS, Baseline
from evals.retrieval.corpus import Corpus
from evals.retrieval.judge import is_literal, judge, score
from evals.retrieval.questions import Question
from evals.retrieval.run import Asked, best_threshold

FILES = {
    "a.py": "\n".join(f"line {n}" for n in range(1, 101)),
    "b.py": "the second half of the answer\n",
    "c.py": "nothing to see\n",
    "d.py": "nor here\n",
}
ONE = Question("s", "?", ({"a.py": ("line 50",)},))
EITHER = Question("s", "?", ({"a.py": ("line 50",), "b.py": ("second half",)},))
BOTH = Question("s", "?", ({"a.py": ("line 50",)}, {"b.py": ("second half",)}))
NONE = Question("s", "?")


def cite(path: str, first: int = 1, last: int = 1) -> Citation:
    return Citation(path, "\n".join(FILES[path].split("\n")[first - 1 : last]), (first, last))


def judged(question: Question, *citations: Citation) -> tuple[bool, bool]:
    verdict = judge(question, Reply(citations), FILES.get, 0.1)
    return verdict.hit1, verdict.hit3


def test_the_first_file_counts_for_hit1_and_the_first_three_distinct_ones_for_hit3() -> None:
    assert judged(ONE, cite("a.py")) == (True, True)
    assert judged(ONE, cite("c.py"), cite("c.py", 2, 2), cite("b.py"), cite("a.py")) == (False, True)
    assert judged(ONE, cite("b.py"), cite("c.py"), cite("d.py"), cite("a.py")) == (False, False)


def test_one_file_of_a_group_is_enough() -> None:
    assert judged(EITHER, cite("b.py")) == (True, True)


def test_two_groups_both_have_to_be_there_and_either_may_come_first() -> None:
    assert judged(BOTH, cite("b.py")) == (True, False)
    assert judged(BOTH, cite("b.py"), cite("c.py"), cite("a.py")) == (True, True)


def test_citing_anything_misses_a_question_without_an_answer() -> None:
    assert judged(NONE, cite("a.py")) == (False, False)
    assert judge(NONE, Reply(()), FILES.get, 0.1).silent


@pytest.mark.parametrize(("at", "near"), [(50, True), (35, True), (65, True), (34, False), (66, False)])
def test_a_passage_is_hit_within_fifteen_lines_of_a_quote(at: int, near: bool) -> None:
    assert judge(ONE, Reply((cite("a.py", at, at),)), FILES.get, 0.1).passage is near


def test_only_the_first_three_quotes_count_for_the_passage() -> None:
    before = [cite("c.py")] * 3
    assert not judge(ONE, Reply((*before, cite("a.py", 50, 50))), FILES.get, 0.1).passage


def test_a_quote_is_literal_only_at_the_lines_that_it_names() -> None:
    assert is_literal(Citation("a.py", "line 7", (7, 7)), FILES.get)
    assert is_literal(Citation("a.py", "line 7"), FILES.get)
    assert not is_literal(Citation("a.py", "line 7", (8, 8)), FILES.get)
    assert not is_literal(Citation("a.py", "Line 7", (7, 7)), FILES.get)
    assert not is_literal(Citation("gone.py", "line 7", (7, 7)), FILES.get)
    assert not is_literal(Citation("a.py", " ", (7, 7)), FILES.get)


def test_the_score_counts_silence_apart_for_questions_with_and_without_an_answer() -> None:
    replies = [(ONE, Reply(())), (NONE, Reply(())), (NONE, Reply((cite("a.py"),))), (ONE, Reply((cite("a.py"),)))]
    total = score([judge(q, r, FILES.get, 0.1) for q, r in replies])
    assert (total.silent_right, total.silent_wrong, total.hit3, total.right) == (1, 1, 1, 2)


def test_hindsight_picks_the_threshold_that_serves_most(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("source")
    (root / "a.py").write_text(FILES["a.py"])
    corpora = {"s": Corpus("s", "code", root)}
    asked = [Asked(ONE, Reply((cite("a.py"),), 0.9), 0.1), Asked(NONE, Reply((cite("a.py"),), 0.4), 0.1)]
    assert best_threshold(asked, corpora) == 0.9


async def test_the_baseline_finds_rare_words_in_the_chunk_that_holds_them(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("source")
    (root / "long.txt").write_text("the filler of it\n" * 60 + "a zebra crosses\n")
    (root / "other.txt").write_text("the filler of it\n" * 10)
    (root / "binary").write_bytes(b"zebra\0")
    corpus, baseline = Corpus("s", "docs", root), Baseline("BM25", STOP_WORDS)
    await baseline.prepare(corpus)
    (found,) = (await baseline.ask("What of the zebra?", corpus)).citations
    assert (found.path, found.lines) == ("long.txt", (41, 62))
