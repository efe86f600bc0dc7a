"""What a process takes, as Linux tells it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Taken:
    """By one process so far: seconds of processor time, and MiB of memory now."""

    cpu: float
    memory: float

    @classmethod
    def by(cls, pid: int) -> Self:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return cls((int(fields[11]) + int(fields[12])) / _TICKS, int(status["VmRSS"].split()[0]) / 1024)
