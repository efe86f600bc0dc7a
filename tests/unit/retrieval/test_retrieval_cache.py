from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from concertino.contracts.errors import SourceError, Transient
from concertino.retrieval.cache import Cache, Held, NoRoomTogether
from concertino.retrieval.entries import BLOCK, granted, measure
from kit.waiting import until

MEGABYTE = 1 << 20

HOLDS = """
import asyncio, sys
from pathlib import Path
from concertino.retrieval.cache import Cache

async def main():
    held = await Cache(Path(sys.argv[1])).hold(Path(sys.argv[2]), "it")
    print("held", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""

REMOVES = """
import sys
from pathlib import Path
from concertino.retrieval.cache import Cache

print(Cache(Path(sys.argv[1])).remove(Path(sys.argv[2])), flush=True)
"""

GROWS = """
import asyncio, sys
from pathlib import Path
from concertino.contracts.errors import ConcertinoError
from concertino.retrieval.cache import Cache

async def main():
    cache = Cache(Path(sys.argv[1]), int(sys.argv[3]))
    held = await cache.hold(Path(sys.argv[2]), "it")
    for number in range(40):
        try:
            await held.grow(1 << 20)
        except ConcertinoError:
            print("no room", flush=True)
            break
        (held.folder / f"file{number}").write_bytes(b"x" * (1 << 20))
    else:
        print("no limit", flush=True)
    await asyncio.sleep(600)

import concertino.retrieval.cache
concertino.retrieval.cache.WAITS = 0.1
asyncio.run(main())
"""


@asynccontextmanager
async def another(program: str, *arguments: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process, which is there until the end, or killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, *map(str, arguments), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def said(process: asyncio.subprocess.Process) -> str:
    assert process.stdout
    return (await process.stdout.readline()).decode().strip()


async def entry(cache: Cache, name: str, size: int, used: float) -> Held:
    """An index of ``size`` bytes, last used at ``used``."""
    held = await cache.hold(cache.folder / "indexes" / "code" / name, name)

    async def write() -> None:
        (held.folder / "index.sqlite").write_bytes(b"x" * size)

    await held.within(write())
    os.utime(held.folder, (used, used))
    return held


async def test_who_was_not_used_for_longest_goes_first_and_no_more_than_must(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 4 * MEGABYTE)
    held = {name: await entry(cache, name, MEGABYTE - 4 * BLOCK, used) for name, used in (("b", 2), ("a", 1), ("c", 3))}
    for each in held.values():
        each.release()
    new = await cache.hold(tmp_path / "indexes" / "docs" / "new", "new")
    await new.grow(MEGABYTE // 2)
    assert all(each.folder.exists() for each in held.values()), "there was room for it"
    await new.grow(MEGABYTE * 3 // 2)
    assert {name for name, each in held.items() if each.folder.exists()} == {"b", "c"}


async def test_what_another_process_holds_stays_until_that_is_gone_however_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("concertino.retrieval.cache.WAITS", 0.1)
    cache = Cache(tmp_path, 2 * MEGABYTE)
    (await entry(cache, "theirs", MEGABYTE, 1)).release()
    theirs = tmp_path / "indexes" / "code" / "theirs"
    new = await cache.hold(tmp_path / "indexes" / "code" / "new", "new")
    async with another(HOLDS, tmp_path, theirs) as process:
        assert await said(process) == "held"
        with pytest.raises(Transient, match="no room for new now"):
            await new.grow(MEGABYTE + MEGABYTE // 2)
        assert theirs.exists()
        process.send_signal(signal.SIGSTOP)  # a frozen one uses it as well
        assert not cache.remove(theirs)
        process.kill()
        await process.wait()
        await new.grow(MEGABYTE + MEGABYTE // 2)
        assert not theirs.exists()


async def test_what_one_piece_of_work_holds_itself_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("concertino.retrieval.cache.WAITS", 600.0)
    mine, others = Cache(tmp_path, 4 * MEGABYTE), Cache(tmp_path, 4 * MEGABYTE)
    first = await entry(mine, "first", 2 * MEGABYTE, 1)
    new = await mine.hold(tmp_path / "indexes" / "code" / "new", "new")
    async with asyncio.timeout(60):
        with pytest.raises(NoRoomTogether, match=r"no room for new.* beside first: .*4194304 .*CTN_CACHE_BYTES"):
            await new.grow(5 * MEGABYTE // 2)
    theirs = await entry(others, "theirs", MEGABYTE, 1)
    growing = asyncio.ensure_future(new.grow(3 * MEGABYTE // 2))
    done, _ = await asyncio.wait({growing}, timeout=0.5)
    assert not done, "others may be done with theirs"
    theirs.release()
    async with asyncio.timeout(60):
        await growing
    assert first.folder.exists()


async def test_what_it_held_before_may_go(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 4 * MEGABYTE)
    first = await entry(cache, "first", 2 * MEGABYTE, 1)
    first.release()
    new = await cache.hold(tmp_path / "indexes" / "code" / "new", "new")
    await new.grow(5 * MEGABYTE // 2)
    assert not first.folder.exists()


async def test_what_a_crash_left_in_the_middle_of_removing_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 64 * MEGABYTE)
    half = await entry(cache, "half", 1, 5)
    for number in range(3000):
        (half.folder / f"file{number}").touch()
    half.release()
    other = await entry(cache, "other", 1, 1)
    other.release()
    home = half.folder.parent
    async with another(REMOVES, tmp_path, half.folder) as process:
        await until(lambda: not half.folder.exists(), "it is being removed")
        process.kill()
        await process.wait()
    assert {path.name for path in home.iterdir() if not path.name.startswith("gone-")} == {"other"}
    left = home / "gone-before"
    left.mkdir()
    (left / "file").write_bytes(b"x" * MEGABYTE)
    new = await cache.hold(home / "new", "new")
    await new.grow(cache.limit - measure(other.folder) - 4 * BLOCK)
    assert not list(home.glob("gone-*"))
    assert other.folder.exists(), "it was used longer ago, and is whole"


async def test_two_processes_at_the_limit_share_what_there_is(tmp_path: Path) -> None:
    limit = 12 * MEGABYTE
    places = [tmp_path / "indexes" / "code" / name for name in "ab"]
    async with another(GROWS, tmp_path, places[0], limit) as first, another(GROWS, tmp_path, places[1], limit) as second:
        assert [await said(first), await said(second)] == ["no room", "no room"]
        sizes = [measure(place) for place in places]
        assert limit - 2 * MEGABYTE < sum(sizes) <= limit


async def test_what_grows_by_itself_is_ended_at_the_limit(tmp_path: Path) -> None:
    """A fetch, or an index, of which nobody knows beforehand how large it becomes."""
    cache = Cache(tmp_path, 8 * MEGABYTE)
    held = await cache.hold(tmp_path / "indexes" / "docs" / "endless", "https://example.org/endless")
    ended = asyncio.Event()
    most = 500

    async def grow() -> None:
        try:
            for number in range(most):
                (held.folder / f"file{number}").write_bytes(b"x" * (MEGABYTE // 8))
                await asyncio.sleep(0.02)
        finally:
            ended.set()

    with pytest.raises(SourceError, match=r"https://example.org/endless takes more than 8388608 bytes .* CTN_CACHE_BYTES"):
        await held.within(grow())
    assert ended.is_set()
    assert len(list(held.folder.glob("file*"))) < most, "it was ended, and not only found to be too large"
    assert granted(held.folder) == measure(held.folder), "others know what lies there all the same"
    held.release()
    assert cache.remove(held.folder)


async def test_growing_takes_the_room_of_what_nobody_uses(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 6 * MEGABYTE)
    for number in range(4):
        (await entry(cache, f"e{number}", MEGABYTE, number)).release()
    grown = await entry(cache, "grown", 4 * MEGABYTE, 9)
    assert grown.folder.exists()
    left = sorted(path.name for path in grown.folder.parent.iterdir())
    assert left == ["e3", "grown"]
    assert sum(measure(path) for path in grown.folder.parent.iterdir()) <= cache.limit


async def test_who_holds_it_as_it_goes_gets_a_new_one(tmp_path: Path) -> None:
    """It lay there when its name was read, and is gone when it is locked."""
    cache = Cache(tmp_path)
    old = await entry(cache, "it", 10, 1)
    old.release()
    assert cache.remove(old.folder)
    assert await cache.hold_if_there(old.folder, "it") is None
    new = await cache.hold(old.folder, "it")
    assert not (new.folder / "index.sqlite").exists()
    assert not cache.remove(new.folder)


async def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(SourceError, match="choose a cache folder that can be written and locked"):
        await Cache(tmp_path / "cache").hold(tmp_path / "cache" / "indexes" / "code" / "it", "it")


async def test_a_file_of_a_source_is_not_taken_for_a_word_of_ours(tmp_path: Path) -> None:
    """Names of our own are read in the entry, and never in the folders in it, where anything may lie."""
    held = await Cache(tmp_path).hold(tmp_path / "clones" / "home" / "it", "it")
    (held.folder / "tree").mkdir()
    (held.folder / "tree" / "size").write_text("0")
    (held.folder / "tree" / "room").write_text("0")
    (held.folder / "tree" / "large").write_bytes(b"x" * MEGABYTE)
    assert measure(held.folder) > MEGABYTE
    held.complete()
    assert measure(held.folder) > MEGABYTE
