"""Sets the texts of this folder as PDFs: ``python typeset.py [FOLDER]`` writes ``papers/``.

In a text ``# `` begins the title, ``## `` a heading, four spaces a line of a table; everything else is a paragraph.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from pypdf import PdfReader, PdfWriter

HERE = Path(__file__).parent
WIDTH, LINES = 88, 40
"""Characters of a line, lines of a page."""
TITLE, HEADING, TEXT, TABLE = ("F2", 15), ("F2", 11.5), ("F1", 10.5), ("F3", 9)
FONTS = {"F1": "Helvetica", "F2": "Helvetica-Bold", "F3": "Courier"}
Line = tuple[tuple[str, float], str]


def lines(text: str) -> Iterator[Line]:
    """Every line in its font. A blank one separates paragraphs; it holds a space, so that readers see it."""
    for line in text.splitlines():
        if line.startswith("# "):
            yield from ((TITLE, part) for part in textwrap.wrap(line[2:], 58))
        elif line.startswith("## "):
            yield HEADING, line[3:]
            yield TEXT, " "
        elif line.startswith("    "):
            yield TABLE, line[4:].rstrip()
        else:
            yield from ((TEXT, part) for part in textwrap.wrap(line, WIDTH) or [" "])


def pages(text: str) -> list[list[Line]]:
    """The lines by page: a heading stays with what follows it."""
    found: list[list[Line]] = [[]]
    for line in lines(text):
        if len(found[-1]) + (4 if line[0] is HEADING else 1) > LINES:
            found.append([])
        if found[-1] or line[1].strip():
            found[-1].append(line)
    return found


def pdf(text: str) -> bytes:
    """The document, with its title in the metadata."""
    sheets = pages(text)
    first = 3 + len(FONTS)
    kids = " ".join(f"{first + 2 * i} 0 R" for i in range(len(sheets)))
    fonts = " ".join(f"/{name} {3 + i} 0 R" for i, name in enumerate(FONTS))
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", f"<< /Type /Pages /Kids [{kids}] /Count {len(sheets)} >>".encode()]
    objects += [
        f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>".encode() for name in FONTS.values()
    ]
    for number, sheet in enumerate(sheets):
        content = b"BT 14 TL 72 760 Td " + b"\n".join(_shown(line) for line in sheet) + b" ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 842] /Contents {first + 2 * number + 1} 0 R"
            f" /Resources << /Font << {fonts} >> >> >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    return _titled(_file(objects), text)


def _shown(line: Line) -> bytes:
    (font, size), text = line
    for mark in "\\()":
        text = text.replace(mark, f"\\{mark}")
    return f"/{font} {size:g} Tf ({text}) Tj T*".encode("cp1252")


def _file(objects: list[bytes]) -> bytes:
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return bytes(out + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))


def _titled(data: bytes, text: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(BytesIO(data)))
    writer.add_metadata({"/Title": text.partition("\n")[0].removeprefix("# ")})
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


def main(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for path in sorted((HERE / "texts").glob("*.txt")):
        (folder / f"{path.stem}.pdf").write_bytes(pdf(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "papers")
