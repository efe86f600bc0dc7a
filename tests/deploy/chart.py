"""The chart, rendered by Helm's own code: objects as a cluster would get them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where libyaml is there
CHART = Path(__file__).parents[2] / "helm" / "concertino"
Object = dict[str, Any]


class Rendered:
    """What one set of values makes of the chart. Raises :class:`helm_python.HelmError` where it refuses them."""

    secrets: Mapping[str, Mapping[str, str]] = {}
    """What is in secrets that the chart does not make, by name."""

    def __init__(self, values: Mapping[str, Any] | None = None, *, release: str = "demo", revision: int = 1) -> None:
        with helm.Chart.load(str(CHART)) as chart:
            chart.validate_schema(dict(values or {}))
            files = chart.render(dict(values or {}), name=release, namespace="prod", revision=revision)
        self.notes = next(text for path, text in files.items() if path.endswith("NOTES.txt"))
        manifests = [text for path, text in files.items() if path.endswith(".yaml")]
        self.objects: list[Object] = [found for text in manifests for found in yaml.load_all(text, Loader) if found]
        self._release = release

    @property
    def ours(self) -> list[Object]:
        """Without what the NATS chart makes."""
        return [o for o in self.objects if o["metadata"]["labels"]["app.kubernetes.io/name"] == "concertino"]

    def of(self, kind: str) -> dict[str, Object]:
        """Objects of a kind, by name without the release's."""
        found = [o for o in self.objects if o["kind"] == kind]
        return {o["metadata"]["name"].removeprefix(f"{self._release}-concertino-"): o for o in found}

    def pod(self, name: str) -> Object:
        """The pod spec of a deployment, the job (``provision``), the test's pod (``test``) or the server (``nats``)."""
        return next(pod for found, pod in self.pods() if _plain(found, self._release).startswith(name))

    def pods(self) -> Iterator[tuple[str, Object]]:
        """Name and pod spec of everything that runs."""
        for found in self.objects:
            if found["kind"] == "Pod":
                yield found["metadata"]["name"], found["spec"]
            elif found["kind"] in {"Deployment", "Job", "StatefulSet"}:
                yield found["metadata"]["name"], found["spec"]["template"]["spec"]

    def env(self, name: str) -> dict[str, str]:
        """Plain environment variables of what :meth:`pod` names."""
        container = self.pod(name)["containers"][0]
        return {variable["name"]: variable.get("value", "") for variable in container.get("env", ())}

    def laid_out(self, name: str, root: Path) -> dict[str, str]:
        """The environment of what :meth:`pod` names, after its volumes were laid out below ``root`` as in its container.

        Values that are paths in there lead to ``root``. What is in no secret that is known holds its key's name.
        """
        pod = self.pod(name)
        env = self.env(name)
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounts = [(mount["mountPath"], volumes.get(mount["name"], {})) for mount in pod["containers"][0]["volumeMounts"]]
        for path, volume in mounts:
            folder = root / path.removeprefix("/")
            folder.mkdir(parents=True, exist_ok=True)
            for file, text in self._held(volume).items():
                (folder / file).write_text(text, encoding="utf-8")
            env = {key: f"{root}{value}" if f"{value}/".startswith(f"{path}/") else value for key, value in env.items()}
        return env

    def _held(self, volume: Object) -> Mapping[str, str]:
        if configuration := volume.get("configMap"):
            return self._data("ConfigMap", configuration["name"])
        if secret := volume.get("secret"):
            return self._data("Secret", secret["secretName"])
        held: dict[str, str] = {}
        for source in volume.get("projected", {}).get("sources", ()):
            [(kind, named)] = source.items()
            data = self._data({"configMap": "ConfigMap", "secret": "Secret"}[kind], named["name"])
            items = named.get("items") or [{"key": key, "path": key} for key in data]
            held |= {item["path"]: data.get(item["key"], item["key"]) for item in items}
        return held

    def _data(self, kind: str, name: str) -> Mapping[str, str]:
        if kind == "Secret" and name in self.secrets:
            return self.secrets[name]
        for found in self.objects:
            if (found["kind"], found["metadata"]["name"]) == (kind, name):
                data: dict[str, str] = found["data"]
                return {k: base64.b64decode(v).decode() for k, v in data.items()} if kind == "Secret" else data
        return {}


def _plain(name: str, release: str) -> str:
    return name.removeprefix(f"{release}-").removeprefix("concertino-")
