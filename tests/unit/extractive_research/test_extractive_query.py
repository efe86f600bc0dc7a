"""A question taken apart."""

import pytest

from concertino.model.extractive.query import Concept, understand
from concertino.model.extractive.synonyms import BACKWARD, FORWARD, phrases, related
from concertino.retrieval.tokens import stem


def concept(question: str, word: str) -> Concept:
    return next(c for c in understand(question).concepts if c.word == word)


def test_words_that_say_nothing_are_left_out_or_weigh_little() -> None:
    question = understand("How does the library handle cookies?")
    assert question.plain == "library handle cookies"
    weights = {c.word: c.weight for c in question.concepts}
    assert weights["cookies"] == 1.0
    assert weights["library"] == weights["handle"] < 0.5


def test_a_concept_goes_by_its_relatives_at_a_discount() -> None:
    terms = concept("how are files deleted?", "deleted").terms
    assert terms["delet"] == 1.0
    assert terms["remov"] == FORWARD
    assert related("remov")["erase" if "erase" in related("remov") else "delet"] in {FORWARD, BACKWARD}


def test_neighbours_may_be_one_identifier() -> None:
    assert concept("what sets the max retries?", "max").terms["maxretri"] == 1.0
    assert concept("what sets the max retries?", "retries").terms["maxretri"] == 1.0
    assert "maxretri" not in concept("what is the max of retries?", "max").terms


@pytest.mark.parametrize("written", ["max_retries", "maxRetries", "MaxRetries", "Retry.sleep", "retry()"])
def test_identifiers_are_names(written: str) -> None:
    assert concept(f"what does {written} do?", written).named


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("does it talk to MongoDB and Redis?", {"MongoDB", "Redis"}),
        ("Sessions are slow. Cookies too. Why?", set()),
        ("How To Configure The Retries Of Sessions", set()),
        ("how do I use Tor or another SOCKS proxy?", {"SOCKS"}),
        ("is a language such as German supported?", set()),
        ("how do I do this in Python?", set()),
    ],
)
def test_proper_names(question: str, names: set[str]) -> None:
    assert {c.word for c in understand(question).concepts if c.named} == names


def test_phrases_mean_what_texts_call_them() -> None:
    assert "retri" in concept("when is a request tried again?", "tried").terms
    assert any({"max", "limit"} <= c.terms.keys() for c in understand("how many redirects are followed?").concepts)


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("how are retries counted, and where is the limit of redirects set?", 2),
        ("how are retries counted? what limits the redirects?", 2),
        ("how are retries and redirects counted?", 0),
        ("how are retries counted, and why?", 0),
    ],
)
def test_parts_are_questions_of_their_own(question: str, parts: int) -> None:
    assert len(understand(question).parts) == parts


def test_a_remark_at_the_end_is_context() -> None:
    question = understand("how are cookies kept? (We run Kubernetes with containers.)")
    assert {c.word for c in question.concepts if c.weight == 1.0} == {"cookies", "kept"}
    assert not any(c.named for c in question.concepts)


@pytest.mark.parametrize("question", ["", "?!", "a b c", "\n", "🤷"])
def test_any_text_is_understood(question: str) -> None:
    understand(question)


def test_the_table_of_relatives_is_sound() -> None:
    assert all(words and len(phrase) > 1 for phrase, words in phrases().items())
    for word in ("stop", "delete", "limit", "wait", "speed", "settings"):
        assert related(stem(word))
        assert stem(word) not in related(stem(word))
        assert all(0 < worth < 1 for worth in related(stem(word)).values())
