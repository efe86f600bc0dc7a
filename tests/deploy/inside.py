"""What a process finds in an image, as JSON. Runs in there, with nothing but what the image has."""

import importlib.metadata
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ["pip", "pip3", "uv", "gcc", "cc", "g++", "c++", "clang", "make", "ld", "as", "git", "curl", "wget"]
INSTALLERS = {"pip", "ensurepip", "setuptools", "uv"}
ELSEWHERE = {"/proc", "/sys", "/dev", "/tmp", "/cache"}


def files() -> Iterator[str]:
    for folder, folders, names in os.walk("/"):
        if folder in ELSEWHERE:
            folders.clear()
            continue
        yield from (str(Path(folder, name)) for name in ("", *names))


def compiled(file: str) -> bool:
    return Path(importlib.util.cache_from_source(file)).exists()


def refused(path: str) -> str | None:
    try:
        Path(path).write_bytes(b"")
    except OSError as e:
        return e.strerror
    return None


site = str(Path(importlib.util.find_spec("msgspec").origin).parents[1])
everything = list(files())
imported = [str(getattr(module, "__file__", "")) for module in list(sys.modules.values())]
found = {
    "ids": [os.getuid(), os.getgid(), os.getgroups()],
    "python": sys.executable,
    "programs": [name for name in PROGRAMS if shutil.which(name)],
    "installers": [file for file in everything if file.endswith(".whl") or Path(file).name in INSTALLERS],
    "importable": [name for name in sorted(INSTALLERS) if importlib.util.find_spec(name)],
    "distributions": {d.name.lower().replace("_", "-"): d.version for d in importlib.metadata.distributions()},
    "uncompiled": [file for file in (*everything, *imported) if file.endswith(".py") and not compiled(file)],
    "writable": [file for file in everything if not Path(file).is_symlink() and os.access(file, os.W_OK)],
    "refused": {path: refused(path) for path in ("/a", "/tmp/a", "/cache/a")},
}
# Of what the base brings only what is imported has to be compiled.
found["uncompiled"] = [file for file in found["uncompiled"] if file.startswith(site) or file in imported]
print(json.dumps(found))
