"""``python -m deploy.chart_readme``: write the chart's README, with a table of every value drawn from values.yaml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[1] / "helm" / "concertino"
_KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z][\w-]*):")
_SAYS = re.compile(r"^ *# -- (?P<text>.+)$")

_HEAD = """# The chart `concertino`

```
helm install concertino helm/concertino --namespace agents --create-namespace
helm test concertino --namespace agents
```

It brings the official NATS chart, set to be durable (three servers, volumes, a disruption budget); `nats.enabled=false` and
`bus.url` use a server that is there. What to watch, and what to do when an alert fires, is in
[docs/operations.md](../../docs/operations.md).

A worker of your own is five lines:

```yaml
workers:
  legal:
    image: {repository: registry.example.org/legal-worker, tag: "1"}
    command: [python, legal.py]
    description: Reads contracts and names clauses that carry risk.
    scaling: {by: queue}
```

`scaling.by: queue` needs [KEDA](https://keda.sh): it reads how many pieces of work wait in the kind's queues, from none
(`min: 0`) to `max` replicas.

## Values

What stands below `defaults` may also stand below `orchestrator`, `synthesizer` and each entry of `workers`. (This page is
written by `make docs`.)

| value | default | |
|---|---|---|
"""


def comments(text: str) -> dict[str, str]:
    """What values.yaml says of each value, by its dotted path."""
    path: list[tuple[int, str]] = []
    found: dict[str, str] = {}
    said = ""
    for line in text.splitlines():
        if comment := _SAYS.match(line):
            said = comment["text"]
        elif key := _KEY.match(line):
            indent = len(key["indent"])
            path = [*(p for p in path if p[0] < indent), (indent, key["key"])]
            if said:
                found[".".join(name for _, name in path)] = said
            said = ""
    return found


def leaves(value: Any, said: dict[str, str], path: str = "") -> Iterator[tuple[str, Any]]:
    """Values that are no tables, and tables that are described as a whole, by their dotted paths."""
    for key, inner in value.items():
        name = f"{path}.{key}" if path else key
        if isinstance(inner, dict) and inner and not _closed(name, said):
            yield from leaves(inner, said, name)
        else:
            yield name, inner


def _closed(name: str, said: dict[str, str]) -> bool:
    return name in {"nats", "workers"} or name.endswith(("resources", ".labels", "egress"))


def readme(text: str) -> str:
    """The README for the values.yaml ``text``."""
    said = comments(text)
    found = leaves(yaml.safe_load(text), said)
    rows = [f"| `{name}` | {_shown(name, value)} | {said.get(name, '')} |\n" for name, value in found]
    return _HEAD + "".join(rows)


def _shown(name: str, value: Any) -> str:
    if name in {"nats", "workers"}:
        return f"see values.yaml ({', '.join(value)})"
    return f"`{json.dumps(value)}`" if value not in ("", None) else "none"


def main() -> None:
    (CHART / "README.md").write_text(readme((CHART / "values.yaml").read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
