"""A tree reads what is inside its root, and nothing else."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from concertino.contracts.errors import SourceError
from concertino.retrieval.tree import Tree


def write(root: Path, *paths: str, text: str = "x\n") -> None:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def listed(tree: Tree) -> list[str]:
    return [file.path for file in tree.files()]


def test_lists_files_sorted_with_size_and_time(root: Path) -> None:
    write(root, "b.py", "a/z.py", "a.py", "a/b/c.md", text="12345")
    files = Tree(root).files()
    assert [f.path for f in files] == ["a.py", "a/b/c.md", "a/z.py", "b.py"]
    assert {f.size for f in files} == {5}
    assert files[0].mtime_ns == (root / "a.py").stat().st_mtime_ns


def test_leaves_out_what_nobody_asks_about(root: Path) -> None:
    write(root, "pyproject.toml", "src/a.py", "src/build/__init__.py", "src/build/b.py", "notes/build/plan.md")
    write(
        root, ".git/config", "node_modules/x/index.js", "build/lib/a.py", "src/__pycache__/a.pyc", "poetry.lock", "app.min.js"
    )
    write(root, "env/pyvenv.cfg", "env/lib/x.py", "thing.egg-info/PKG-INFO", "logo.PNG")
    assert listed(Tree(root)) == [
        "notes/build/plan.md",
        "pyproject.toml",
        "src/a.py",
        "src/build/__init__.py",
        "src/build/b.py",
    ]


def test_asks_for_wanted_paths_only(root: Path) -> None:
    write(root, "a.py", "a.md", "b/c.md")
    assert [f.path for f in Tree(root).files(lambda p: p.endswith(".md"))] == ["a.md", "b/c.md"]


def test_refuses_links_that_lead_out(root: Path) -> None:
    write(root.parent, "secret.txt", "outside/key.txt", text="secret")
    write(root, "a.txt")
    (root / "file").symlink_to(root.parent / "secret.txt")
    (root / "folder").symlink_to(root.parent / "outside")
    (root / "up").symlink_to("..")
    tree = Tree(root)
    assert listed(tree) == ["a.txt"]
    assert {path for path, _ in tree.skipped} == {"file", "folder", "up"}
    for path in (
        "file",
        "folder/key.txt",
        "up/secret.txt",
        "../secret.txt",
        "a/../../secret.txt",
        str(root.parent / "secret.txt"),
    ):
        with pytest.raises(SourceError, match=r"leads out|no path inside"):
            tree.read(path)


def test_follows_links_that_stay_inside(root: Path) -> None:
    write(root, "real/a.txt", text="here")
    (root / "link.txt").symlink_to("real/a.txt")
    (root / "folder").symlink_to("real")
    tree = Tree(root)
    assert listed(tree) == ["real/a.txt"]
    assert tree.read("link.txt") == tree.read("folder/a.txt") == b"here"
    assert tree.skipped == []


def test_survives_loops_and_broken_links(root: Path) -> None:
    (root / "loop").symlink_to("loop")
    (root / "self").symlink_to(".")
    (root / "gone").symlink_to("nowhere")
    tree = Tree(root)
    assert listed(tree) == []
    assert {path for path, _ in tree.skipped} == {"loop", "gone"}
    with pytest.raises(SourceError):
        tree.read("loop")


def test_what_vanishes_while_it_is_listed_takes_nothing_with_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root, "a.py", ".a.py.swp", "b.py")
    scandir = os.scandir

    @contextmanager
    def saved_meanwhile(folder: int) -> Iterator[Iterator[os.DirEntry[str]]]:
        with scandir(folder) as scan:
            entries = list(scan)
            (root / ".a.py.swp").unlink()
            yield iter(entries)

    monkeypatch.setattr(os, "scandir", saved_meanwhile)
    tree = Tree(root)
    assert (listed(tree), tree.skipped) == (["a.py", "b.py"], [])


def test_never_opens_pipes_sockets_and_folders(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as sock:
        here = Path.cwd()
        os.chdir(root)  # the path of a socket may have 100 characters at most
        try:
            sock.bind("sock")
        finally:
            os.chdir(here)
    (root / "folder").mkdir()
    tree = Tree(root)
    assert listed(tree) == []
    assert {path for path, _ in tree.skipped} == {"pipe", "sock"}
    for path in ("pipe", "folder", ""):
        with pytest.raises(SourceError):
            tree.read(path)


def test_does_not_read_version_control(root: Path) -> None:
    write(root, ".git/config", text="token")
    (root / "link").symlink_to(".git/config")
    for path in (".git/config", "link"):
        with pytest.raises(SourceError, match="version control"):
            Tree(root).read(path)


def test_bounds_size_and_number(root: Path) -> None:
    write(root, "a.txt", "b.txt", "c.txt", text="123")
    write(root, "big.txt", text="1234567")
    tree = Tree(root, max_file_bytes=5, max_files=2)
    assert listed(tree) == ["a.txt", "b.txt"]
    assert [path for path, _ in tree.skipped] == ["big.txt", "c.txt"]
    with pytest.raises(SourceError, match="over the limit of 5 bytes"):
        tree.read("big.txt")


def test_handles_odd_names(root: Path) -> None:
    write(root, "new\nline.md", "-rf.md", "[a]*?.md", "ü.md", "back\\slash.md")
    (root / os.fsdecode(b"\xff.md")).write_text("x")
    tree = Tree(root)
    assert len(listed(tree)) == 5
    assert tree.skipped == [("\\xff.md", "the name is not UTF-8")]
    assert all(tree.read(path) for path in listed(tree))


def test_is_as_deep_as_the_folders_are(root: Path) -> None:
    fd = os.open(root, os.O_RDONLY)
    for _ in range(120):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("a.txt", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    assert listed(Tree(root)) == ["d/" * 120 + "a.txt"]


def test_a_root_that_is_no_readable_folder(tmp_path: Path) -> None:
    write(tmp_path, "file")
    for path in (tmp_path / "missing", tmp_path / "file", tmp_path / "nul\0"):
        with pytest.raises(SourceError, match="give a folder"):
            Tree(path)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a\r\nb\rc\n", "a\nb\nc\n"),
        ("é".encode(), "é"),
        (b"\xef\xbb\xbfx", "x"),
        ("héllo".encode("utf-16"), "héllo"),
        (b"\xff\xfe\x00\x00" + "ü".encode("utf-32-le"), "ü"),
        (b"caf\xe9 \x93x\x94", "café “x”"),
        (b"caf\xe9 \x81", "café \x81"),
        (b"", ""),
        (b"MZ\x00\x01binary", None),
        (bytes(range(128, 256)) + bytes(range(32)) * 3, None),
    ],
)
def test_text(root: Path, data: bytes, text: str | None) -> None:
    (root / "file").write_bytes(data)
    assert Tree(root).text("file") == text


def test_bounds_folders_in_folders_and_files_in_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root, f"{'d/' * 200}last.py", f"{'d/' * 201}beyond.py")
    tree = Tree(root)
    assert any(path.endswith("last.py") for path in listed(tree))
    assert not any(path.endswith("beyond.py") for path in listed(tree))
    assert any("200 folders deep" in reason for _, reason in tree.skipped)
    monkeypatch.setattr("concertino.retrieval.tree.MOST_ENTRIES", 20)
    write(root, *(f"many/{n}.py" for n in range(21)))
    assert not any(path.startswith("many/") for path in listed(tree))
    assert ("many", "over 20 files in one folder: name smaller ones") in tree.skipped
