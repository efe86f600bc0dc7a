import pytest

from concertino.retrieval.tokens import content_terms, query_terms, terms


@pytest.mark.parametrize("written", ["max_retries", "maxRetries", "MaxRetries", "MAX_RETRIES", "max-retries"])
def test_spellings_of_a_name_share_their_terms(written: str) -> None:
    assert terms(written) == ["max", "retri", "maxretri"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HTTPSConnection", ["https", "connect", "httpsconnect"]),
        ("URLs", ["url"]),
        ("parse IDs", ["pars", "id"]),
        ("sha256", ["sha", "256", "sha256"]),
        ("the server's", ["the", "server"]),
        ("don’t", ["don"]),
        ("naïve Größe", ["naïve", "größe"]),
        ("Retry.sleep(3.11)", ["retri", "sleep", "3", "11"]),
        ("x" * 100, []),
        ("", []),
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_word_forms_share_a_stem() -> None:
    assert terms("retry") == terms("retries") == terms("Retried") == terms("retrying")


def test_queries_lose_words_that_say_nothing() -> None:
    assert query_terms("How do I set the maximum of retries, and what is a retry?") == ["set", "maximum", "retri"]
    assert query_terms("what is it?") == ["what", "is", "it"]
    assert content_terms("what is it?") == []
