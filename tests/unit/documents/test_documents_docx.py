from __future__ import annotations

import pytest

from concertino.contracts.errors import SourceError
from concertino.documents.readers import docx as reader
from kit.samples import docx, docx_of


def test_sections_are_located_by_their_heading_path() -> None:
    data = docx(
        [
            ("", "Preface."),
            ("Heading1", "Leave"),
            ("Heading2", "Notice"),
            ("", "Four weeks <ahead>."),
            ("Heading1", "Pay"),
            ("", "Monthly."),
        ]
    )
    assert [(p.title, p.locator.fragment, p.text) for p in reader.read("policy.docx", data)] == [
        ("", "top", "Preface."),
        ("Leave > Notice", "Leave > Notice", "Notice\n\nFour weeks <ahead>."),
        ("Pay", "Pay", "Pay\n\nMonthly."),
    ]


def test_tables_are_rows() -> None:
    cells = "".join(f"<w:tc><w:p><w:r><w:t>{t}</w:t></w:r></w:p></w:tc>" for t in ("Country", "Days"))
    data = docx_of(f"<w:body><w:tbl><w:tr>{cells}</w:tr></w:tbl></w:body>")
    assert reader.read("t.docx", data)[0].text == "Country | Days"


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = docx([("", "small")], extra=[("word/footnotes.xml", b" " * (reader.MOST_BYTES + 1_000_000))])
    assert len(bomb) < 100_000
    with pytest.raises(SourceError, match="unpacks to"):
        reader.read("bomb.docx", bomb)


def test_too_many_tags_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MOST_TAGS", 100)
    with pytest.raises(SourceError, match="tags, over the limit"):
        reader.read("tags.docx", docx_of("<w:body>" + "<w:p/>" * 200 + "</w:body>"))


def test_entities_do_not_multiply() -> None:
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12))
    prolog = f'<!DOCTYPE d [<!ENTITY l0 "lol">{laughs}]>'
    with pytest.raises(SourceError, match="broken Word document"):
        reader.read("laughs.docx", docx_of("<w:body><w:p><w:r><w:t>&l11;</w:t></w:r></w:p></w:body>", prolog=prolog))


def test_deep_nesting_ends_in_an_error() -> None:
    with pytest.raises(SourceError, match="broken Word document"):
        reader.read(
            "deep.docx",
            docx_of("<w:body>" + "<w:sdt><w:sdtContent>" * 20_000 + "</w:sdtContent></w:sdt>" * 20_000 + "</w:body>"),
        )


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        (docx([("", "text")])[:400], "save it anew"),
        (b"PK\x03\x04" + b"\0" * 400, "save it anew"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 400, "save it as .docx without a password"),
    ],
)
def test_broken_ones_say_what_to_do(data: bytes, advice: str) -> None:
    with pytest.raises(SourceError, match=advice):
        reader.read("x.docx", data)
