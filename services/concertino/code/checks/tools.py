"""The checks as tools, over the code bases of one piece of work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from concertino.code.base import Base
from concertino.code.bases import Bases, Root
from concertino.code.checks import credentials, dependencies, risks, untested, unused
from concertino.code.checks.shape import merged
from concertino.model.observation import Checked
from concertino.runtime.threads import in_thread


class Checks:
    """What each returns can be reported as it is: claims with severity, advice, and the lines that show them.

    The first sentence of each docstring lists what it finds, as people ask for it: a model that cannot think goes by that.
    """

    def __init__(self, bases: Bases) -> None:
        self._bases = bases

    def tools(self) -> list[Callable[..., Awaitable[Checked]]]:
        return [self.weak_dependencies, self.secrets, self.risks, self.untested, self.unused]

    async def weak_dependencies(self, root: Root = "") -> Checked:
        """Check for unpinned dependencies, unbounded dependencies, vulnerable dependencies, abandoned dependencies.

        By the manifests, and by a short list of known weaknesses: no network is asked, so what it does not name may be weak
        all the same. Of an installed distribution it looks at its own release too, and at copies of others that it ships.
        """
        return await self._all(root, dependencies.TOPIC, dependencies.check)

    async def secrets(self, path: str = "", root: Root = "") -> Checked:
        """Check for secrets, credentials, hard-coded passwords, leaked keys, leaked tokens.

        Values are masked. Nothing is tried out with any server. ``path`` is a glob, empty for all files.
        """
        return await self._all(root, credentials.TOPIC, partial(credentials.check, path=path))

    async def risks(self, root: Root = "") -> Checked:
        """Check for risky calls, insecure calls, dangerous calls, unsafe deserialization, shell injection, security risks.

        It goes by the shape of code: whether data of others can get there is for you to find out. Tests are left aside.
        """
        return await self._all(root, risks.TOPIC, risks.check)

    async def untested(self, root: Root = "") -> Checked:
        """Check for missing tests, untested modules, untested code, test coverage.

        A module counts as tested where a test speaks of it or of anything that it defines: nothing is run.
        """
        return await self._all(root, untested.TOPIC, untested.check)

    async def unused(self, root: Root = "") -> Checked:
        """Check for dead code, unused code, unused functions, unused definitions, unreachable code.

        Python only. Private names that stand nowhere else in the source, and statements that nothing reaches; what is public
        may be somebody's interface, and is never named.
        """
        return await self._all(root, unused.TOPIC, unused.check)

    async def _all(self, root: str, topic: str, check: Callable[[Base], Checked]) -> Checked:
        bases = self._bases.of(root)
        return await in_thread(lambda: merged(topic, {base.name: check(base) for base in bases}))
