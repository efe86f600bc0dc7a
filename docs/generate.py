"""Writes the parts of the docs that are drawn from the code. ``make docs`` runs it; a test holds the docs against it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from concertino.orchestrator.core import lifecycle
from concertino.runtime import settings
from concertino.telemetry import metrics

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


def metrics_page() -> str:
    """docs/metrics.md: every metric, its type, labels and help."""
    rows = [f"| `{_exposed(m)}` | {m._type} | {_labels(m)} | {m._documentation} |" for m in metrics.every()]
    return "\n".join(
        [
            "# Metrics",
            "",
            "What every service answers at `/metrics`, on the port that `CTN_PORT` names. Durations are seconds, money is US",
            "dollars. Values of labels come from closed sets (kinds, lanes, codes of errors, configured models); ids never are",
            "labels. (This page is written by `make docs`.)",
            "",
            "| metric | type | labels | |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _labels(metric: MetricWrapperBase) -> str:
    return ", ".join(f"`{label}`" for label in metric._labelnames)


def _exposed(metric: MetricWrapperBase) -> str:
    return f"{metric._name}_total" if metric._type == "counter" else metric._name


def _default(name: str, value: ast.expr | None) -> str:
    if name == "cache":
        return "`$XDG_CACHE_HOME/concertino`"
    found = getattr(settings.Settings(), name)
    return f"`{found:g}`" if isinstance(found, float) else f"`{found}`" if found not in ("", settings.NO_SECRET) else "none"


def main() -> None:
    page = HERE / "concepts.md"
    page.write_text(concepts(page.read_text(encoding="utf-8")), encoding="utf-8")
    (HERE / "metrics.md").write_text(metrics_page(), encoding="utf-8")
    (HERE / "settings.md").write_text(settings_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
