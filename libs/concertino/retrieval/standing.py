"""Files that speak of the project rather than of what it does: nobody who asks how something works means them."""

from __future__ import annotations

import re
from typing import Literal

Standing = Literal["subject", "legal", "project", "release", "site"]

_LEGAL = re.compile(r"(licen[sc]es?|copying|copyright|notice|patents|third[_-]?party[_-].*|eula)([._-].*)?", re.IGNORECASE)
_PROJECT = re.compile(
    r"(?i:contribut(ing|ors?|e)|code[_-]of[_-]conduct|authors?|credits|thanks|kudos|maintainers|governance|sponsors?|donate|"
    r"backers|roadmap|funding|citation|codeowners|committers|whos?[_-]using|(how[_-]to[_-])?releas(e|ing)([_-]process)?|"
    r"hacking|todo|pull_request_template|issue_template|plugin[_-]list)(?i:[._-].*)?"
    r"|(SECURITY|SUPPORT|DEVELOPMENT)([._-].*)?"
)
"""The last few are pages about the subject where they are not written in capitals."""
_PROJECT_FOLDERS = frozenset({".github", ".gitlab", ".circleci", "contributing", "internals", "governance", "maintainers"})
_RELEASE = re.compile(
    r"((\d{4}[._-])?news|changelog|changes|announce(ments?)?|upgrading|migrating|porting|release[._-]v?\d.*|v?\d+(\.[\dx]+)+)([._-].*)?",
    re.IGNORECASE,
)
_RELEASE_FOLDERS = frozenset(
    "announce announcements changes releases release-notes release_notes whatsnew news newsfragments changelog.d".split()  # noqa: SIM905
)
_SITE = re.compile(
    r"(searchtools|doctools|language_data|documentation_options|sphinx_highlight|searchindex|jquery.*|underscore.*|"
    r"bootstrap.*|genindex|404)\.\w+",
    re.IGNORECASE,
)
_SITE_FOLDERS = frozenset({"_static", "_themes", "_templates", "static", "assets", "theme", "_theme"})
_PROSE = frozenset({"", "md", "mdx", "markdown", "rst", "txt", "adoc", "html", "htm"})


def standing_of(path: str) -> Standing:
    """What the file at ``path`` (relative, with forward slashes) is to the project, judged by its path alone."""
    *folders, name = path.split("/")
    lower = [folder.lower() for folder in folders]
    suffix = name.rpartition(".")[2].lower() if "." in name[1:] else ""
    if _SITE.fullmatch(name) or (suffix in {"js", "css", "html"} and not _SITE_FOLDERS.isdisjoint(lower)):
        return "site"
    if _LEGAL.fullmatch(name) and (suffix in _PROSE or name.isupper()):
        return "legal"
    if suffix not in _PROSE:
        return "subject"
    if "licenses" in lower:
        return "legal"
    if _RELEASE.fullmatch(name) or not _RELEASE_FOLDERS.isdisjoint(lower):
        return "release"
    if _PROJECT.fullmatch(name) or not _PROJECT_FOLDERS.isdisjoint(lower):
        return "project"
    return "subject"
