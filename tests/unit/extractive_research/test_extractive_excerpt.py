"""Quotes are literal, short, whole sentences; claims say what they show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concertino.contracts.messages import Locator, Passage
from concertino.model.extractive.claims import claim_of, first_sentence
from concertino.model.extractive.excerpt import MOST_CHARACTERS, excerpt
from concertino.model.extractive.lens import Lens
from concertino.model.extractive.query import understand
from concertino.retrieval.roles import Role

FUNCTION = '''def connect(
    host: str,
    port: int,
) -> Connection:
    """Open a connection.

    The name is looked up first. Where several addresses are
    found, they are tried in turn, and the first that answers
    is kept.
    """
    import socket

    for address in lookup(host):
        try:
            return Connection(address, port)
        except OSError:
            continue
    raise Unreachable(
        host,
        port,
    )'''

PROSE = """Connections
===========

Every connection is opened on demand. It is kept for later. Nothing else happens here,
e.g. nothing is sent.

.. versionadded:: 2.0

Proxies are set like this::

    client = Client(proxy_url="http://proxy")

Cookies are unrelated.
"""


def passage(text: str, language: str = "") -> Passage:
    role: Role = "definition" if language else "text"
    return Passage(
        source="a.py" if language else "a.rst", text=text, locator=Locator(lines=(1, 1)), role=role, language=language
    )


def quote(question: str, of: Passage) -> str:
    return excerpt(of, Lens.of(understand(question), {}, 100))


def test_a_definition_is_quoted_with_signature_and_docstring() -> None:
    assert quote("how is a connection opened?", passage(FUNCTION, "python")).endswith('    """Open a connection.')
    assert quote("how is a connection opened?", passage(FUNCTION, "python")).startswith("def connect(")


def test_a_sentence_of_a_docstring_is_whole() -> None:
    said = quote("what if several addresses are found, are they tried in turn?", passage(FUNCTION, "python"))
    assert "first that answers\n    is kept." in said


def test_a_bracket_is_closed() -> None:
    assert quote("when is Unreachable raised?", passage(FUNCTION, "python")).rstrip().endswith(")")


def test_prose_is_quoted_by_sentences_without_headings_and_marks() -> None:
    assert quote("when are connections opened on demand?", passage(PROSE)) == "Every connection is opened on demand."
    said = quote("how are proxies set with proxy_url?", passage(PROSE))
    assert said.startswith("Proxies are set like this::")
    assert said.endswith('proxy_url="http://proxy")')


def test_a_sentence_that_leans_on_another_brings_it() -> None:
    assert quote("what is kept for later?", passage(PROSE)).startswith("Every connection is opened on demand. It is kept")


def test_a_huge_line_is_cut_between_words() -> None:
    said = quote("where is the needle?", passage("word " * 5000 + "needle"))
    assert len(said) <= MOST_CHARACTERS
    assert said.endswith("word")


@pytest.mark.parametrize("text", ["", "\n\n", "====\n====", "x"])
def test_there_is_always_a_quote(text: str) -> None:
    assert quote("anything?", passage(text)) in text


@given(
    st.lists(
        st.sampled_from(
            ["", "Title", "=====", "It is so.", "a (", "b)", "    code", "- item", "# x", '"""', "more words: here"]
        ),
        max_size=40,
    ),
    st.sampled_from(["", "python"]),
)
def test_quotes_are_literal(lines: list[str], language: str) -> None:
    text = "\n".join(lines)
    said = quote("what is so in the title of the item, and where is more code?", passage(text, language))
    assert said in text
    assert len(said) <= MOST_CHARACTERS


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Opens it. Closes it.", "Opens it."),
        ("Uses :class:`~a.b.Retry` and ``x``, see [docs](http://x).", "Uses a.b.Retry and x, see docs."),
        (".. note::\n\n    code\n\nThe rest\nof it.", "The rest of it."),
        ("1. First\n2. Second", "First Second"),
        ("```\ncode", "code"),
        ("", ""),
    ],
)
def test_first_sentence(text: str, sentence: str) -> None:
    assert first_sentence(text) == sentence


def test_a_long_sentence_is_cut() -> None:
    assert len(first_sentence("word " * 200)) <= 202


def test_a_claim_about_a_page_names_it() -> None:
    page = Passage(source="manual.pdf", text="Press the red button. It stops.", locator=Locator(page=3))
    claim = claim_of(page, Lens.of(understand("which button is red?"), {}, 10), 0.5)
    assert claim.claim == "`manual.pdf` says on page 3: Press the red button."


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ('def f():\n    """Says it."""\n    return 1', ": Says it."),
        ('#!/bin/x\n"""Says it."""\nX = 1', ": Says it."),
        ('    goes on with words.\n    """\n    if path is None:\n        path = """nothing"""', "."),
    ],
)
def test_a_claim_takes_its_words_from_documentation_alone(code: str, said: str) -> None:
    passage = Passage(source="a.py", text=code, locator=Locator(lines=(1, 9)), title="f", role="definition", language="python")
    assert claim_of(passage, Lens.of(understand("what is it?"), {}, 1), 0.5).claim == f"`a.py` defines `f`{said}"


def test_a_claim_repeats_the_sentence_that_says_most_and_names_what_is_asked_for() -> None:
    lens = Lens.of(understand("when is the lock released?"), {"lock": 1, "releas": 1}, 9)
    prose = Passage(
        source="a.md", text="_New in version 2.10._\n\nRead on. A lock is released at the end.", locator=Locator(lines=(1, 3))
    )
    assert claim_of(prose, lens, 0.5).claim == "`a.md` says: A lock is released at the end."
    values = Passage(
        source="a.py",
        text="A = 1\nLOCK = 2",
        locator=Locator(lines=(1, 2)),
        title="A, LOCK",
        role="definition",
        language="python",
    )
    assert claim_of(values, lens, 0.5).claim.startswith("`a.py` defines `LOCK`")
