"""Writes the parts of the docs that are drawn from the code. ``make docs`` runs it; a test holds the docs against it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from concertino.orchestrator.core import lifecycle
from concertino.runtime import settings

HERE = Path(__file__).parent
_DIAGRAM = re.compile(r"(?<=```mermaid\n).*?(?=```\n<!-- end -->)", re.DOTALL)


def concepts(text: str) -> str:
    """docs/concepts.md with the life cycle as the code has it."""
    return _DIAGRAM.sub(lambda _: lifecycle.mermaid(), text)


def settings_page() -> str:
    """docs/settings.md: every setting, its type, default, and what its docstring says."""
    module = ast.parse(Path(settings.__file__).read_text(encoding="utf-8"))
    [class_] = [node for node in module.body if isinstance(node, ast.ClassDef) and node.name == "Settings"]
    rows: list[str] = []
    for field, after in zip(class_.body, [*class_.body[1:], None], strict=True):
        if not isinstance(field, ast.AnnAssign):
            continue
        assert isinstance(field.target, ast.Name)
        says = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
        default = _default(field.target.id, field.value)
        rows.append(f"| `CTN_{field.target.id.upper()}` | {default} | {' '.join(str(says).replace('``', '`').split())} |")
    return "\n".join(
        [
            "# Settings",
            "",
            "Environment variables, read once when a process starts. Durations are seconds. One that does not parse ends the",
            "process with a message that names it. (This page is written by `make docs`.)",
            "",
            "| variable | default | |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _default(name: str, value: ast.expr | None) -> str:
    if name == "cache":
        return "`$XDG_CACHE_HOME/concertino`"
    found = getattr(settings.Settings(), name)
    return f"`{found:g}`" if isinstance(found, float) else f"`{found}`" if found != "" else "none"


def main() -> None:
    page = HERE / "concepts.md"
    page.write_text(concepts(page.read_text(encoding="utf-8")), encoding="utf-8")
    (HERE / "settings.md").write_text(settings_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
