"""A question taken apart."""

import re
from pathlib import Path

import pytest

from concertino.model.extractive import synonyms
from concertino.model.extractive.query import Concept, understand
from concertino.model.extractive.synonyms import BACK, CLOSE, NEAR, phrases_in, related
from concertino.retrieval.tokens import stem
from concertino.retrieval.wanted import wanted


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
    assert terms["remov"] == CLOSE
    assert related("respawn")["restart"] == pytest.approx(NEAR * BACK) or related("respawn")["restart"] >= CLOSE * BACK


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
    assert "retri" in concept("when is a request tried again?", "tried again").terms
    assert any({"max", "limit"} <= c.terms.keys() for c in understand("how many redirects are followed?").concepts)


@pytest.mark.parametrize(
    ("question", "idiom", "meant"),
    [
        ("does it carry on where it left off?", "carry on where left off", "resum"),
        ("Three failures in a row, then what?", "in a row", "consecut"),
        ("who puts the unread letters back?", "puts back", "requeu"),
        ("which ones are turned away?", "turned away", "reject"),
    ],
)
def test_an_idiom_is_one_concept_and_not_its_words(question: str, idiom: str, meant: str) -> None:
    found = concept(question, idiom)
    assert found.terms[meant] == CLOSE
    own = {stem(word) for word in idiom.split()}
    assert all(worth < found.terms[meant] for term, worth in found.terms.items() if term in own)
    assert own.isdisjoint(stem(c.word) for c in understand(question).concepts)


def test_phrases_do_not_overlap_and_the_longer_goes_first() -> None:
    (found,) = phrases_in(["it", "carries", "on", "where", "it", "left", "off"])
    assert found.places == (1, 2, 3, 5, 6)


def test_words_that_say_nothing_say_nothing_when_contracted() -> None:
    assert understand("I'd say we don't, and that's why it isn't cached").plain == "cached"


def test_a_search_for_all_forms_weighs_them() -> None:
    (forms,) = wanted(understand("delete").expanded)
    assert forms["delet"] == 1.0
    assert forms["remov"] == CLOSE


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
    for word in ("stop", "delete", "limit", "wait", "speed", "settings"):
        assert related(stem(word))
        assert stem(word) not in related(stem(word))
        assert all(0 < worth < 1 for worth in related(stem(word)).values())


def test_the_files_of_relatives_are_well_formed() -> None:
    folder = Path(synonyms.__file__).parent / "words"
    for file in sorted(folder.glob("*.txt")):
        said: set[str] = set()
        for line in file.read_text(encoding="utf-8").splitlines():
            if not line or line.startswith("#"):
                continue
            assert re.fullmatch(r"[a-z0-9_'’ -]+(: | -> | = )[a-z0-9_+ -]+", line), f"{file.name}: {line}"
            words = re.split(r": | -> | = ", line)[0]
            assert words.startswith("_") is False
            assert words not in said, f"{file.name}: {words!r} stands twice"
            said.add(words)


def test_of_idioms_with_a_gap_the_denser_is_meant() -> None:
    (found,) = phrases_in(["turn", "strings", "into", "integers", "on", "assignment"])
    assert found.phrase.words == ("turn", "_", "into")


def test_irregular_forms_are_one_word() -> None:
    for said, also in (("kept", "keep"), ("keep", "kept"), ("written", "wrote")):
        assert concept(f"where is it {said}?", said).terms[stem(also)] == 1.0
    (found,) = phrases_in(["something", "went", "wrong"])
    assert found.phrase.idiom
