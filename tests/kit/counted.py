"""Metrics as they grew since a test began: the registry is one for the whole process."""

from __future__ import annotations

from prometheus_client import REGISTRY


class Counted:
    """Called with a series, how much that grew since this was made; a gauge counts from what it was then."""

    def __init__(self) -> None:
        self._before = self._all()

    def __call__(self, name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return self._all().get(key, 0.0) - self._before.get(key, 0.0)

    def _all(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        samples = (sample for metric in REGISTRY.collect() for sample in metric.samples)
        return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}
