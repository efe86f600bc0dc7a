"""The chart, rendered by Helm's own code: objects as a cluster would get them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

CHART = Path(__file__).parents[2] / "helm" / "concertino"
Object = dict[str, Any]


class Rendered:
    """What one set of values makes of the chart."""

    def __init__(self, values: Mapping[str, Any] | None = None, *, release: str = "demo") -> None:
        with helm.Chart.load(str(CHART)) as chart:
            chart.validate_schema(dict(values or {}))
            files = chart.render(dict(values or {}), name=release, namespace="prod")
        self.notes = next(text for path, text in files.items() if path.endswith("NOTES.txt"))
        manifests = [text for path, text in files.items() if path.endswith(".yaml")]
        self.objects: list[Object] = [found for text in manifests for found in yaml.safe_load_all(text) if found]

    @property
    def ours(self) -> list[Object]:
        """Without what the NATS chart makes."""
        return [o for o in self.objects if o["metadata"]["labels"]["app.kubernetes.io/name"] == "concertino"]

    def of(self, kind: str) -> dict[str, Object]:
        """Objects of a kind, by name without the release's."""
        found = [o for o in self.objects if o["kind"] == kind]
        return {o["metadata"]["name"].removeprefix("demo-concertino-"): o for o in found}

    def pods(self) -> Iterator[tuple[str, Object]]:
        """Name and pod spec of everything of ours that runs."""
        for found in self.ours:
            if found["kind"] == "Pod":
                yield found["metadata"]["name"], found["spec"]
            elif found["kind"] in {"Deployment", "Job"}:
                yield found["metadata"]["name"], found["spec"]["template"]["spec"]

    def env(self, deployment: str) -> dict[str, str]:
        """Plain environment variables of a deployment."""
        [container] = self.of("Deployment")[deployment]["spec"]["template"]["spec"]["containers"]
        return {variable["name"]: variable.get("value", "") for variable in container["env"]}
