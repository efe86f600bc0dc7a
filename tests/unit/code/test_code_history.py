from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from code_repositories import Repo

from concertino.code.history import History
from concertino.contracts.errors import Invalid

Make = Callable[[str], Repo]


async def test_commits_of_a_file_newest_first_also_under_its_former_name(repo: Make) -> None:
    origin = repo("origin")
    origin.commit({"a.py": "one\ntwo\nthree\n"}, "First\n\nBecause of this.")
    origin.commit({"b.py": "x"}, "Other")
    origin.git("mv", "a.py", "c.py")
    last = origin.commit({}, "Moved")
    found = await History(origin.root).log("c.py", 10)
    assert [p.title for p in found] == ["Moved", "First"]
    assert found[0].text == f"commit {last}\nAuthor: Ann\nDate: 2024-05-06\n\nMoved"
    assert "Because of this." in found[1].text
    assert [p.title for p in await History(origin.root).log("", 2)] == ["Moved", "Other"]


async def test_blame(repo: Make) -> None:
    origin = repo("origin")
    first = origin.commit({"a.py": "one\ntwo\nthree\n"})
    second = origin.commit({"a.py": "one\nTWO\nthree\n"})
    found = await History(origin.root).blame("a.py", 1, 2)
    assert found.text == f"{first[:12]} 2024-05-06 Ann 1| one\n{second[:12]} 2024-05-06 Ann 2| TWO"
    with pytest.raises(Invalid, match="has only 3 lines"):
        await History(origin.root).blame("a.py", 7, 9)
    with pytest.raises(Invalid, match="no such path"):
        await History(origin.root).blame("b.py", 1, 1)


async def test_a_folder_inside_a_checkout_sees_its_own_part(repo: Make) -> None:
    origin = repo("origin")
    origin.commit({"top.py": "x"}, "Top")
    origin.commit({"sub/a.py": "y\n"}, "Sub")
    history = History(origin.root / "sub")
    assert [p.title for p in await history.log("", 10)] == ["Sub"]
    assert [p.source for p in await history.log("a.py", 10)] == ["a.py"]
    with pytest.raises(Invalid):
        await history.blame("top.py", 1, 1)


async def test_a_linked_work_tree_and_a_shallow_clone(repo: Make, tmp_path: Path) -> None:
    origin = repo("origin")
    origin.commit({"a": "1"}, "One")
    origin.commit({"a": "2"}, "Two")
    origin.git("worktree", "add", "-q", str(tmp_path / "linked"))
    assert len(await History(tmp_path / "linked").log("a", 9)) == 2
    origin.git("clone", "-q", "--depth=1", origin.url, str(tmp_path / "shallow"))
    assert [p.title for p in await History(tmp_path / "shallow").log("a", 9)] == ["Two"]


async def test_odd_names_are_taken_literally(repo: Make) -> None:
    origin = repo("origin")
    names = ["-p", "new\nline", "glob*", ":(top)x", "[a]"]
    for name in names:
        origin.commit({name: f"{name!r} and nothing else\n"}, f"Adds {name!r}")
    origin.commit({"globbed": "y\n"})
    history = History(origin.root)
    for name in names:
        assert [p.title for p in await history.log(name, 9)] == [f"Adds {name!r}"]
        assert (await history.blame(name, 1, 1)).text.endswith(f"1| {name!r} and nothing else")


async def test_a_checkouts_configuration_runs_nothing(repo: Make, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    origin = repo("origin")
    origin.commit({"a.py": "x\n", ".gitattributes": "* diff=evil filter=evil\n"})
    run = f"touch {ran}; cat"
    for name in ("diff.evil.textconv", "diff.external", "filter.evil.clean", "core.pager", "core.fsmonitor", "pager.log"):
        origin.git("config", name, run)
    for name in ("pager.rev-parse", "alias.log", "gpg.program", "core.sshCommand", "credential.helper"):
        origin.git("config", name, f"!{run}" if name.startswith("alias") else run)
    origin.git("config", "log.showSignature", "true")
    origin.git("config", "log.diffMerges", "on")
    (origin.root / ".git" / "info" / "attributes").write_text("* diff=evil filter=evil\n")
    (origin.root / "a.py").write_text("changed\n")
    history = History(origin.root)
    assert len(await history.log("a.py", 5)) == 1
    assert (await history.blame("a.py", 1, 1)).text.endswith("| x")
    assert not ran.exists()


async def test_no_checkout_no_history(tmp_path: Path, repo: Make) -> None:
    with pytest.raises(Invalid, match="there is no history"):
        await History(tmp_path).log("", 5)
    with pytest.raises(Invalid, match="there is no history"):
        await History(repo("unborn").root).log("", 5)


async def test_a_git_file_cannot_show_another_checkout(repo: Make, tmp_path: Path) -> None:
    private, hostile = repo("private"), tmp_path / "hostile"
    private.commit({"a": "secret\n"}, "Secret")
    hostile.mkdir()
    (hostile / ".git").write_text(f"gitdir: {private.root}/.git\n")
    with pytest.raises(Invalid, match="points elsewhere"):
        await History(hostile).log("", 5)
    (hostile / ".git").unlink()
    (hostile / ".git").symlink_to(private.root / ".git")
    with pytest.raises(Invalid, match="points elsewhere"):
        await History(hostile).log("", 5)
    borrowed = repo("borrowed")
    borrowed.commit({"a": "x"})
    shutil.rmtree(borrowed.root / ".git" / "objects")
    (borrowed.root / ".git" / "objects").symlink_to(private.root / ".git" / "objects")
    (borrowed.root / ".git" / "refs" / "heads" / "main").write_text(private.git("rev-parse", "HEAD"))
    with pytest.raises(Invalid, match="points elsewhere"):
        await History(borrowed.root).log("", 5)
