"""Sets ``agreement.txt`` as a Word document: ``python typeset.py [FOLDER]`` writes ``contracts/agreement.docx``."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).parent
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml"
SPACES = "http://schemas.openxmlformats.org/package/2006"
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time of every part, so that the same text gives the same bytes."""


def paragraph(line: str) -> str:
    """``# `` is a title, ``## `` a heading."""
    marks = len(line) - len(line.lstrip("#"))
    style = f'<w:pPr><w:pStyle w:val="Heading{marks}"/></w:pPr>' if marks else ""
    return f'<w:p>{style}<w:r><w:t xml:space="preserve">{escape(line.lstrip("# "))}</w:t></w:r></w:p>'


def parts(text: str) -> dict[str, str]:
    """The files of the package, by name."""
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="Heading{n}"><w:name w:val="heading {n}"/>'
        f'<w:pPr><w:outlineLvl w:val="{n - 1}"/></w:pPr><w:rPr><w:b/><w:sz w:val="{36 - 6 * n}"/></w:rPr></w:style>'
        for n in (1, 2)
    )
    body = "".join(paragraph(line) for line in text.splitlines() if line.strip())
    return {
        "[Content_Types].xml": f'<Types xmlns="{SPACES}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{MAIN}.document.main+xml"/>'
        f'<Override PartName="/word/styles.xml" ContentType="{MAIN}.styles+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{SPACES}/relationships">'
        f'<Relationship Id="r1" Type="{OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{SPACES}/relationships">'
        f'<Relationship Id="r1" Type="{OFFICE}/styles" Target="styles.xml"/></Relationships>',
        "word/styles.xml": f'<w:styles xmlns:w="{WORD}">{styles}</w:styles>',
        "word/document.xml": f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>',
    }


def main(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "agreement.docx", "w") as archive:
        for name, xml in parts((HERE / "agreement.txt").read_text(encoding="utf-8")).items():
            archive.writestr(zipfile.ZipInfo(name, LONG_AGO), f'<?xml version="1.0" encoding="UTF-8"?>{xml}')


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "contracts")
