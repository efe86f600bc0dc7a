"""Files as everybody here reads them: the judge, and the baseline."""

from __future__ import annotations

from pathlib import Path

MAX_BYTES = 2 * 1024 * 1024


def read_text(path: Path) -> str | None:
    """The text of a file with ``\\n`` for line ends; None if it is missing, binary, or over 2 MiB."""
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        return None
    data = path.read_bytes()
    if b"\0" in data:
        return None
    return data.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
