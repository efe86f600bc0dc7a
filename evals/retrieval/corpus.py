"""The pinned distributions: fetched by pip, checked by digest, unpacked into the cache. Nothing of them is committed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from concertino.contracts.errors import SourceError
from concertino.runtime.settings import settings

PINS = Path(__file__).with_name("sources.toml")

_LEFTOVERS = (".egg-info", "PKG-INFO")
"""What packaging adds to a distribution and no checkout has: copies of the readme and the changelog."""


class Pin(Struct, frozen=True):
    """One distribution, and what of it the questions are about."""

    name: str
    kind: Literal["code", "docs"]
    version: str
    sha256: str
    folder: str = ""


class Corpus(Struct, frozen=True):
    """A distribution on disk. ``root`` is what an answerer is given; every path of a question is relative to it."""

    name: str
    kind: Literal["code", "docs"]
    root: Path


class _Pins(Struct, frozen=True):
    source: tuple[Pin, ...]


def pins() -> tuple[Pin, ...]:
    return msgspec.toml.decode(PINS.read_bytes(), type=_Pins).source


def default_cache() -> Path:
    """``evals`` in the folder that the product keeps its own cache in."""
    return Path(settings().cache) / "evals"


def corpus(pin: Pin, cache: Path) -> Corpus:
    """``pin`` on disk, fetched and unpacked if it is not in ``cache`` yet. Raises :class:`SourceError`."""
    unpacked = cache / f"{pin.name}-{pin.version}-{pin.sha256[:12]}"
    if not unpacked.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as scratch:
            _unpack(_download(pin, Path(scratch)), Path(scratch) / "tree").replace(unpacked)
    return Corpus(pin.name, pin.kind, unpacked / pin.folder)


def _download(pin: Pin, into: Path) -> Path:
    """pip asks a distribution for its metadata, which runs its build backend: hence the digest, checked before."""
    wanted = into / "wanted.txt"
    wanted.write_text(f"{pin.name}=={pin.version} --hash=sha256:{pin.sha256}\n")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--no-binary", pin.name]
    done = subprocess.run([*pip, "--dest", into, "--requirement", wanted], capture_output=True, text=True, check=False)
    archives = list(into.glob("*.tar.gz"))
    if done.returncode or len(archives) != 1:
        reason = (done.stderr.strip().splitlines() or ["no archive came"])[-1]
        raise SourceError(f"{pin.name} {pin.version} cannot be downloaded: {reason}. Is the package index reachable?")
    return archives[0]


def _unpack(archive: Path, into: Path) -> Path:
    """The one top folder of ``archive``, without packaging leftovers."""
    with tarfile.open(archive) as tar:
        tar.extractall(into, filter="data")
    (top,) = into.iterdir()
    for path in [p for p in top.rglob("*") if p.name.endswith(_LEFTOVERS)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return top
