import pytest

from concertino.retrieval.wanted import alternatives, shown, wanted


def test_plain_words_are_things_of_their_own() -> None:
    assert wanted("how are requests retried?") == [{"request": 1.0}, {"retri": 1.0}]


def test_alternatives_are_one_thing() -> None:
    written = alternatives({"resum": 1.0, "continu": 0.8}, 0.5)
    assert wanted(f"{written} jobs") == [{"resum": 0.5, "continu": 0.4}, {"job": 1.0}]


@pytest.mark.parametrize("query", ["", "()", "(a|b", "f(x|y)", "(^1)", "(a^)", "((a^1))", "(a^1.2.3)", '" OR *', "(a^99)"])
def test_any_text_is_a_query(query: str) -> None:
    for forms in wanted(query):
        assert forms
        assert all(0 <= worth <= 1 for worth in forms.values())


def test_people_are_shown_words_without_weights() -> None:
    written = f"{alternatives({'resum': 1.0, 'continu': 0.8})} {alternatives({'job': 1.0})} (at once) f(x|y)"
    assert shown(written) == "resum… job (at once) f(x|y)"
