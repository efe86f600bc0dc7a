"""Installed and upgraded by Helm: what has to stay stays, and nothing is changed that Kubernetes does not let change."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart import CHART
from cluster import Cluster, cluster
from helm_python import HelmError

PREVIOUS = yaml.safe_load((Path(__file__).with_name("values") / "5b2e8ba.yaml").read_text(encoding="utf-8"))
LEGAL = {"workers": {"legal": {"description": "Reads contracts.", "scaling": {"by": "queue"}}}}


@pytest.fixture
def prod() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


def _passwords(prod: Cluster) -> dict[str, str]:
    held = prod.of("Secret")["demo-nats-users"]["data"]
    return {key: base64.b64decode(value).decode() for key, value in held.items()}


def test_passwords_are_made_once(prod: Cluster) -> None:
    helm = prod.helm()
    helm.install(str(CHART), "demo", {})
    first = _passwords(prod)
    users = {key for key in first if not key.endswith(".conf")}
    assert len({first[user] for user in users}) == len(users)
    assert all(len(first[user]) >= 32 and first[f"{user}.conf"] == f'password: "{first[user]}"\n' for user in users)
    helm.upgrade(str(CHART), "demo", LEGAL)
    more = _passwords(prod)
    assert first.items() < more.items()
    assert set(more) - set(first) == {"ctn-worker-legal", "ctn-worker-legal.conf"}
    helm.upgrade(str(CHART), "demo", {"workers": {"web": None}})
    assert {key for key in first if key not in _passwords(prod)} == {"ctn-worker-web", "ctn-worker-web.conf"}


def test_the_cluster_here_is_as_strict_as_a_real_one(prod: Cluster) -> None:
    helm = prod.helm()
    helm.install(str(CHART), "demo", {"fullnameOverride": "same"})
    with pytest.raises(HelmError, match="immutable"):
        helm.upgrade(str(CHART), "demo", {"fullnameOverride": "same", "nameOverride": "other"})


def test_a_secret_of_ones_own_is_left_alone(prod: Cluster) -> None:
    prod.helm().install(str(CHART), "demo", {"global": {"usersSecret": "mine"}})
    assert not prod.of("Secret")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (PREVIOUS, {}),
        ({}, {}),
        ({}, LEGAL),
        ({}, {"image": {"tag": "2"}, "bus": {"keep": 3600}, "defaults": {"podLabels": {"a": "b"}}, "commonLabels": {"c": "d"}}),
        (LEGAL, {"defaults": {"scaling": {"by": "cpu"}}}),
    ],
    ids=[
        "from the release before",
        "the same again, for a job that failed",
        "one kind more",
        "almost everything",
        "scaled otherwise",
    ],
)
def test_an_upgrade_goes_through(prod: Cluster, before: dict[str, Any], after: dict[str, Any]) -> None:
    helm = prod.helm()
    helm.install(str(CHART), "demo", before)
    [job] = prod.of("Job")
    helm.upgrade(str(CHART), "demo", after)
    [again] = prod.of("Job")
    assert job != again  # it provisions anew, and the one before is gone
    helm.rollback("demo", version=1)
    helm.uninstall("demo")
    assert not prod.objects
