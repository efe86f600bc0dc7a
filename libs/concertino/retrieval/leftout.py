"""What a source tree holds that nobody asks about: history, caches, other people's code, build output. One table."""

from __future__ import annotations

from collections.abc import Collection, Mapping

VERSION_CONTROL = frozenset({".git", ".hg", ".svn", ".bzr", ".jj", "CVS", "_darcs"})
CACHES = frozenset(
    {"__pycache__", ".cache", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".tox", ".nox", ".eggs"}
    | {".gradle", ".terraform", ".ipynb_checkpoints", ".idea", ".vscode"}
)
DEPENDENCIES = frozenset({"node_modules", "bower_components", "site-packages", ".venv", ".virtualenv"})
OUTPUT = frozenset({"_build", ".next", ".nuxt", ".svelte-kit", "htmlcov", ".nyc_output"})
FOLDERS = VERSION_CONTROL | CACHES | DEPENDENCIES | OUTPUT
"""Never entered, at any depth."""

METADATA = (".egg-info", ".dist-info")
"""Endings of folders that an installer wrote: they repeat what the source says."""

OUTPUT_BESIDE: Mapping[str, frozenset[str]] = {
    "build": frozenset(
        {"setup.py", "setup.cfg", "pyproject.toml", "package.json", "build.gradle", "build.gradle.kts", "make.bat"}
    ),
    "dist": frozenset({"setup.py", "setup.cfg", "pyproject.toml", "package.json"}),
    "target": frozenset({"Cargo.toml", "pom.xml", "build.sbt"}),
    "coverage": frozenset({"package.json"}),
}
"""Build output only where such a manifest lies beside: elsewhere a folder of that name is somebody's module."""

MARKERS = frozenset({"pyvenv.cfg", "CACHEDIR.TAG"})
"""A folder that holds one of these says itself that it is a virtual environment or a cache."""

NAMES = frozenset(
    {
        "package-lock.json",
        "npm-shrinkwrap.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "poetry.lock",
        "pdm.lock",
        "uv.lock",
        "Pipfile.lock",
    }
    | {"Cargo.lock", "Gemfile.lock", "composer.lock", "go.sum", "flake.lock", ".DS_Store", ".coverage", "PKG-INFO"}
)
ENDINGS = (
    *(".min.js", ".min.css", ".bundle.js", ".map"),
    *(".pyc", ".pyo", ".class", ".o", ".a", ".so", ".dylib", ".dll", ".exe", ".mo"),
    *(".png", ".jpg", ".jpeg", ".gif", ".ico", ".webp", ".bmp", ".tiff", ".mp3", ".mp4", ".mov", ".avi", ".webm", ".ogg"),
    *(".zip", ".gz", ".bz2", ".xz", ".zst", ".7z", ".tar", ".jar", ".whl", ".egg", ".woff", ".woff2", ".ttf", ".otf", ".eot"),
    *(".sqlite", ".sqlite3", ".db", ".parquet", ".npy", ".npz", ".pkl"),
)
"""Files left out by name or ending: locks, minified, compiled, pictures, archives, databases."""


def enters(folder: str, inside: Collection[str] = (), beside: Collection[str] = ()) -> bool:
    """Whether to enter ``folder``, going by its name, the names ``inside`` and the names ``beside`` it."""
    if folder in FOLDERS or folder.endswith(METADATA) or not MARKERS.isdisjoint(inside):
        return False
    return OUTPUT_BESIDE.get(folder, frozenset()).isdisjoint(beside) or "__init__.py" in inside


def is_left_out(name: str) -> bool:
    """Whether a file of this name is left out."""
    return name in NAMES or name.lower().endswith(ENDINGS)
