from __future__ import annotations

import itertools

import pytest

from concertino.contracts.errors import SourceError
from concertino.documents.readers import pdf as reader
from kit.samples import encrypted, pdf, with_bookmarks


def test_pages_count_from_one_and_carry_their_bookmark() -> None:
    data = with_bookmarks(pdf(["Cover", "Timeouts end calls.", "More of it."]), [("Timeouts", 1)])
    found = reader.read("m.pdf", data)
    assert [(p.locator.page, p.title, p.text) for p in found] == [
        (1, "The Manual", "Cover"),
        (2, "Timeouts", "Timeouts end calls."),
        (3, "Timeouts", "More of it."),
    ]


def test_a_word_broken_at_a_line_end_is_joined_where_it_stands_whole_elsewhere() -> None:
    found = reader.read("m.pdf", pdf(["A retrans-\nmission, of client-\nserver traffic", "Every retransmission counts"]))
    assert found[0].text == "A retransmission,\nof client-\nserver traffic"


def test_a_blank_page_does_not_shift_the_others() -> None:
    assert [p.locator.page for p in reader.read("m.pdf", pdf(["one", "", "three"]))] == [1, 3]


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256"])
def test_encrypted_needs_a_password_only_if_it_has_one(algorithm: str) -> None:
    assert reader.read("m.pdf", encrypted(pdf(["open"]), "", algorithm))[0].text == "open"
    with pytest.raises(SourceError, match="without a password"):
        reader.read("m.pdf", encrypted(pdf(["secret"]), "pw", algorithm))


def test_a_foreign_encryption_says_what_to_do() -> None:
    data = pdf(["text"]).replace(b"/Root 1 0 R", b"/Root 1 0 R /Encrypt << /Filter /Acme >>")
    with pytest.raises(SourceError, match="print it to a new PDF"):
        reader.read("m.pdf", data)


@pytest.mark.parametrize("data", [pdf(["text"])[:200], b"%PDF-1.7\n", b"", b"\0" * 2_000, b"%PDF-1.4\n" + b"1 0 obj<<" * 500])
def test_broken_ones_say_what_to_do(data: bytes) -> None:
    with pytest.raises(SourceError, match=r"save it anew|OCR"):
        reader.read("m.pdf", data)


def test_a_scan_says_so() -> None:
    with pytest.raises(SourceError, match="OCR"):
        reader.read("m.pdf", pdf(["", ""]))


def test_a_document_that_takes_too_long_is_given_up_between_pages() -> None:
    ticks = itertools.count(0, reader.MOST_SECONDS / 2)
    with pytest.raises(SourceError, match="up to page 2: split it"):
        reader.read("m.pdf", pdf(["one", "two", "three", "four"]), clock=lambda: next(ticks))
