from __future__ import annotations

import json

import pytest

from concertino.contracts.errors import SourceError
from concertino.documents.readers import notebook

CELLS = [
    {"cell_type": "markdown", "source": ["# Load\n", "First the data."]},
    {"cell_type": "code", "source": "", "outputs": []},
    {
        "cell_type": "code",
        "source": ["df = load()\n", "df.head()"],
        "outputs": [
            {"output_type": "stream", "text": [f"row {i}\n" for i in range(30)]},
            {"output_type": "display_data", "data": {"image/png": "iVBOR", "text/plain": "<Figure>"}},
            {"output_type": "error", "ename": "KeyError", "evalue": "'x'"},
        ],
    },
]


def test_cells_are_counted_from_one_blank_ones_too() -> None:
    data = json.dumps({"cells": CELLS, "metadata": {"kernelspec": {"language": "Python"}}, "nbformat": 4}).encode()
    first, third = notebook.read("a.ipynb", data)
    assert (first.locator.fragment, first.title, first.language) == ("cell-1", "Load", "")
    assert first.text == "# Load\nFirst the data."
    assert (third.locator.fragment, third.title, third.language) == ("cell-3", "Load", "python")
    assert third.text.startswith("df = load()\ndf.head()\n\nrow 0\n")
    assert third.text.endswith("row 11\n... 20 more lines")
    assert "iVBOR" not in third.text


def test_format_3_is_read_too() -> None:
    old = {"worksheets": [{"cells": [{"cell_type": "code", "input": "print(1)", "outputs": []}]}], "nbformat": 3}
    assert notebook.read("old.ipynb", json.dumps(old).encode())[0].text == "print(1)"


@pytest.mark.parametrize("data", [b"{", b'{"cells": 3}', b'{"cells": ' + b"[" * 100_000, b"\xff\xfe\x00"])
def test_broken_ones_say_what_to_do(data: bytes) -> None:
    with pytest.raises(SourceError, match="save it anew"):
        notebook.read("b.ipynb", data)
