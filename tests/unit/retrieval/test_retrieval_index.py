"""An index that is kept, refreshed by content, shared by processes and survives whatever happens to its file."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from concertino.contracts.errors import Cancelled, SourceError, Transient
from concertino.contracts.messages import Locator, Passage
from concertino.retrieval.chunk import passages
from concertino.retrieval.index import Index, Refreshed, index_folder
from concertino.retrieval.search import merge
from concertino.retrieval.tree import File, Tree

TEXTS = {
    "guide.md": "# Retries\n\nA failed request is tried again after a pause.\n\n# Limits\n\nAt most ten requests at once.\n",
    "api.md": "# Session\n\nKeeps cookies between requests.\n",
    "CHANGES.md": "# Changes\n\nA request is tried again. Tried again, tried again.\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
        os.utime(folder / name, ns=(10**18, 10**18))
    return folder


class Reader:
    """Reads files of a folder as passages, and remembers which."""

    def __init__(self, root: Path) -> None:
        self.tree = Tree(root)
        self.read: list[str] = []

    def __call__(self, file: File) -> list[Passage]:
        self.read.append(file.path)
        return passages(file.path, self.tree.text(file.path) or "")

    def refresh(self, index: Index) -> Refreshed:
        self.read = []
        return index.refresh(self.tree.files(), self)


def found(index: Index, query: str, limit: int = 20) -> list[tuple[str, str]]:
    return [(hit.passage.source, hit.passage.title) for hit in index.search(query, limit).hits]


def test_finds_what_was_indexed_tests_and_changelogs_last(root: Path) -> None:
    index = Index(None, version="1")
    assert Reader(root).refresh(index) == Refreshed(added=3)
    again = found(index, "when is a request tried again?")
    assert again[0] == ("guide.md", "Retries")
    assert ("CHANGES.md", "Changes") in again
    assert index.sources() == sorted(TEXTS)
    assert [p.title for p in index.passages("guide.md")] == ["Retries", "Limits"]
    assert index.passages("guide.md")[0].locator == Locator(lines=(1, 3))
    assert index.passages("nothing.md") == []


def test_a_result_says_how_common_each_term_is(root: Path) -> None:
    index = Index(None, version="1")
    Reader(root).refresh(index)
    result = index.search("requests with cookies from Kubernetes", 1)
    assert result.frequencies == {"request": 4, "cooki": 1, "kubernet": 0}
    assert (result.passages, len(result.hits)) == (4, 1)
    assert index.search("zzz").hits == index.search("").hits == index.search('" OR * NEAR(').hits == ()


def test_is_kept_and_reads_only_what_changed(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "cache" / "deep" / "i.sqlite"
    index = Index(path, version="1")
    reader = Reader(root)
    reader.refresh(index)
    index.close()

    index = Index(path, version="1")
    assert reader.refresh(index) == Refreshed(unchanged=3)
    assert reader.read == []

    (root / "api.md").write_text("# Session\n\nForgets everything.\n")
    (root / "CHANGES.md").unlink()
    (root / "new.md").write_text("# New\n\nWebsockets.\n")
    os.utime(root / "guide.md", ns=(2 * 10**18, 2 * 10**18))
    assert reader.refresh(index) == Refreshed(added=1, updated=1, removed=1, unchanged=1)
    assert sorted(reader.read) == ["api.md", "guide.md", "new.md"]
    assert found(index, "cookies") == []
    assert found(index, "websockets") == [("new.md", "New")]
    assert index.search("request").frequencies == {"request": 2}


def test_reads_a_file_again_that_changed_as_it_was_read(root: Path) -> None:
    """Same size, same time stamp, other content: nothing but reading again can tell."""
    index = Index(None, version="1")
    reader = Reader(root)
    file = root / "api.md"
    stamp = 10**11 * 10**9  # in the future: surely not settled when it is read
    os.utime(file, ns=(stamp, stamp))
    reader.refresh(index)
    file.write_text(file.read_text().replace("cookies", "muffins"))
    os.utime(file, ns=(stamp, stamp))
    assert reader.refresh(index).updated == 1
    assert found(index, "muffins") == [("api.md", "Session")]


def test_another_version_starts_anew(root: Path, tmp_path: Path) -> None:
    for version in ("1", "2"):
        index = Index(tmp_path / "i.sqlite", version=version)
        assert Reader(root).refresh(index) == Refreshed(added=3)
        index.close()


@pytest.mark.parametrize("damage", ["not a database at all" * 1000, "", "SQLite format 3\0" + "x" * 5000])
def test_a_damaged_file_is_replaced(root: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "i.sqlite"
    path.write_text(damage)
    index = Index(path, version="1")
    assert Reader(root).refresh(index).added == 3
    assert found(index, "cookies") == [("api.md", "Session")]


def test_damage_in_the_middle_is_noticed(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "i.sqlite"
    index = Index(path, version="1")
    Reader(root).refresh(index)
    index.close()
    data = bytearray(path.read_bytes())
    data[4096 : len(data) // 2] = b"\xee" * (len(data) // 2 - 4096)
    path.write_bytes(bytes(data))
    index = Index(path, version="1")
    assert Reader(root).refresh(index).added == 3
    assert found(index, "cookies") == [("api.md", "Session")]


def test_a_place_that_cannot_hold_an_index(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder.sqlite").mkdir()
    for path in (tmp_path / "file" / "i.sqlite", tmp_path / "folder.sqlite"):
        with pytest.raises(SourceError, match="cache folder"):
            Index(path, version="1")


def test_a_reader_that_fails_leaves_the_index_as_it_was(root: Path) -> None:
    index = Index(None, version="1")
    reader = Reader(root)
    reader.refresh(index)
    (root / "api.md").write_text("# Other\n\nLonger than before, much longer.\n")

    def broken(file: File) -> list[Passage]:
        raise SourceError(file.path)

    with pytest.raises(SourceError):
        index.refresh([*reader.tree.files(), File("zzz.md", 1, 1)], broken)
    assert found(index, "cookies") == [("api.md", "Session")]
    assert reader.refresh(index).updated == 1


def test_a_full_disk_leaves_the_index_as_it_was(root: Path, tmp_path: Path) -> None:
    index = Index(tmp_path / "i.sqlite", version="1")
    reader = Reader(root)
    reader.refresh(index)
    (root / "huge.md").write_text("# Huge\n\n" + "\n\n".join(f"paragraph {i} " * 50 for i in range(500)))
    index._database._connection.execute("PRAGMA max_page_count = 60")
    with pytest.raises(Transient, match="make room"):
        reader.refresh(index)
    assert found(index, "cookies") == [("api.md", "Session")]
    assert found(index, "paragraph") == []


def test_serves_many_threads(root: Path, tmp_path: Path) -> None:
    index = Index(tmp_path / "i.sqlite", version="1")
    Reader(root).refresh(index)
    results: list[list[tuple[str, str]]] = []
    threads = [threading.Thread(target=lambda: results.append(found(index, "cookies"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[("api.md", "Session")]] * 8


def _refresh_slowly(root: Path, path: Path, inside: Event, go_on: Event) -> None:
    """In another process: refresh, but stop at the second file until told to go on."""
    reader = Reader(root)
    index = Index(path, version="1")

    def read(file: File) -> list[Passage]:
        if len(reader.read) == 1:
            inside.set()
            go_on.wait(60)
        return reader(file)

    index.refresh(reader.tree.files(), read)
    index.close()


@pytest.fixture
def other(root: Path, tmp_path: Path) -> tuple[multiprocessing.process.BaseProcess, Event]:
    context = multiprocessing.get_context("spawn")
    inside, go_on = context.Event(), context.Event()
    process = context.Process(target=_refresh_slowly, args=(root, tmp_path / "i.sqlite", inside, go_on))
    process.start()
    assert inside.wait(60)
    return process, go_on


Other = tuple[multiprocessing.process.BaseProcess, Event]


def test_killed_in_the_middle_it_is_as_it_was(root: Path, tmp_path: Path, other: Other) -> None:
    process, _ = other
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    index = Index(tmp_path / "i.sqlite", version="1")
    assert index.sources() == []
    assert Reader(root).refresh(index).added == 3


def test_two_processes_at_once(root: Path, tmp_path: Path, other: Other) -> None:
    process, go_on = other
    refreshed: list[Refreshed] = []
    reader = Reader(root)

    def second() -> None:
        index = Index(tmp_path / "i.sqlite", version="1")
        refreshed.append(reader.refresh(index))
        index.close()

    thread = threading.Thread(target=second)
    thread.start()
    go_on.set()
    thread.join(60)
    process.join(60)
    assert process.exitcode == 0
    assert refreshed == [Refreshed(unchanged=3)]
    assert reader.read == []


def test_results_of_several_indexes_are_one(root: Path) -> None:
    make: Callable[[], Index] = lambda: Index(None, version="1")  # noqa: E731
    one, two = make(), make()
    Reader(root).refresh(one)
    two.refresh([File("x.md", 1, 1)], lambda f: passages(f.path, "# Cookies\n\nCookies, cookies.\n"))
    merged = merge([one.search("cookies"), two.search("cookies")], 1)
    assert (merged.passages, merged.frequencies, len(merged.hits)) == (5, {"cooki": 2}, 1)


def test_the_same_root_has_the_same_path(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert index_folder(tmp_path / "link", tmp_path, "docs") == index_folder(tmp_path, tmp_path, "docs")
    assert index_folder("https://x.org/a", tmp_path, "docs") != index_folder("https://x.org/b", tmp_path, "docs")
    assert index_folder(tmp_path, tmp_path, "docs") != index_folder(tmp_path, tmp_path, "code")
    assert index_folder(tmp_path, tmp_path, "docs").is_relative_to(tmp_path)


def test_alternatives_count_once(root: Path) -> None:
    """Three words for one thing are worth the best of them, and each as much as is said."""
    texts = {"a.md": "apple pear plum orchard", "b.md": "apple melon grape orchard"}
    index = Index(None, version="1")
    index.refresh([File(p, len(t), 1) for p, t in texts.items()], lambda file: passages(file.path, texts[file.path]))
    index_of = {hit.passage.source: hit.score for hit in index.search("(pear^1|plum^1) (melon^1|cherry^1)").hits}
    assert index_of["a.md"] == pytest.approx(index_of["b.md"])
    half = {hit.passage.source: hit.score for hit in index.search("(pear^1|plum^1) (melon^0.5|cherry^1)").hits}
    assert half["b.md"] == pytest.approx(half["a.md"] / 2)


def test_a_search_of_any_length_is_answered(root: Path) -> None:
    index = Index(None, version="1")
    Reader(root).refresh(index)
    words = " ".join(f"word{i}" for i in range(2000))
    many = {"a.md": words + " needle"}
    index.refresh([File("a.md", 1, 1)], lambda file: passages(file.path, many[file.path]))
    assert found(index, f"{words} needle")[0][0] == "a.md"


def test_a_file_about_the_thing_comes_before_one_that_mentions_it() -> None:
    texts = {
        "retries.md": "# Retries\n\nAll of them.\n\n# Numbers\n\nThe limit is three for each host.",
        "hosts.md": "# Hosts\n\nAll of them.\n\n# Numbers\n\nThe limit is three for retries too.",
    }
    index = Index(None, version="1")
    index.refresh([File(p, len(t), 1) for p, t in texts.items()], lambda file: passages(file.path, texts[file.path]))
    hits = index.search("limit of retries").hits
    assert hits[0].passage.source == "retries.md"
    assert hits[0].about.startswith("Retries")


def test_who_comes_to_refresh_what_was_closed_is_told_so(tmp_path: Path) -> None:
    """As where the thread that was to do it had not come so far when nobody waited any more."""
    index = Index(tmp_path / "index.sqlite", version="1")
    index.close()
    with pytest.raises(Cancelled):
        index.refresh([], lambda _: [])
