"""The chart in the combinations that matter: valid for the clusters that there are, and what it promises about safety."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import helm_python as helm
import jsonschema
import kubernetes_validate
import pytest
import yaml
from chart import CHART, Rendered
from deploy.chart_readme import readme

from concertino.bus.topology import installation, queues
from concertino.code.handler import worker as code
from concertino.contracts.subjects import Subjects
from concertino.docs.handler import worker as docs
from concertino.general.handler import worker as general
from concertino.runtime import config
from concertino.runtime.settings import settings

VERSIONS = ("1.35", "1.36", "1.37")
EXISTING = {"nats": {"enabled": False}, "bus": {"url": "nats://nats.bus:4222", "monitoring": "nats-headless.bus:8222"}}
QUEUE = {"scaling": {"by": "queue"}}
LEGAL = {
    "image": {"repository": "example/legal"},
    "command": ["python", "legal.py"],
    "description": "Reads contracts and names clauses that carry risk.",
    **QUEUE,
}
EVERYTHING: dict[str, Any] = {
    "fullnameOverride": "demo-concertino",
    "commonLabels": {"team": "search"},
    "image": {"registry": "ghcr.io/example", "tag": "1.2.3", "pullPolicy": "Always"},
    "imagePullSecrets": ["pull"],
    "bus": {**EXISTING["bus"], "credentialsSecret": "creds", "credentialsKey": "web.creds", "prefix": "prod", "replicas": 5},
    "nats": {"enabled": False},
    "model": {"name": "anthropic", "existingSecret": "anthropic", "baseUrl": "https://gateway.example.org"},
    "search": {"provider": "brave", "existingSecret": "brave"},
    "config": {
        "models": {"plan": {"model": "claude-opus-5-5", "effort": "high"}},
        "prices": {"in-house": {"input": 1.5, "output": 3}},
        "mcp": {"tickets": {"url": "https://tickets.example.org/mcp", "kinds": ["general"]}},
    },
    "defaults": {
        "slots": 3,
        "lease": 20,
        "attempts": 2,
        "grace": 120,
        "logLevel": "debug",
        "cache": "5Gi",
        "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "envFrom": [{"configMapRef": {"name": "more"}}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data", "readOnly": True}}],
        "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True}],
        "podLabels": {"tier": "agents"},
        "podAnnotations": {"sidecar.istio.io/inject": "false"},
        "nodeSelector": {"pool": "agents"},
        "tolerations": [{"key": "agents", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "low",
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "x"}},
        "spread": False,
        "maxUnavailable": "50%",
    },
    "orchestrator": {"replicas": 3, "scaling": {"by": "cpu", "min": 2, "max": 5, "cpu": 60, "stabilization": 120}},
    "synthesizer": {"scaling": {"by": "queue", "min": 1, "max": 4, "lag": 2, "cooldown": 600}},
    "workers": {"code": {"runtimeClassName": "gvisor", **QUEUE}, "general": None, "web": QUEUE, "legal": LEGAL},
    "networkPolicy": {
        "bus": [{"namespaceSelector": {"matchLabels": {"name": "bus"}}}],
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
        "private": ["10.0.0.0/8"],
    },
    "monitoring": {
        "port": 9000,
        "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "interval": "15s"},
        "rules": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboards": {"enabled": True, "labels": {"grafana": "yes"}},
    },
    "provision": {"enabled": False},
    "test": {"request": 'Say "hello" to: everybody', "sources": ["web=https://example.org"]},
}
COMBINATIONS = {
    "as it comes": {},
    "existing server": EXISTING,
    "everything otherwise": EVERYTHING,
    "by queue, down to zero": {"defaults": QUEUE, "orchestrator": {"scaling": {"by": "fixed"}}, "workers": {"legal": LEGAL}},
    "by load": {"defaults": {"scaling": {"by": "cpu"}}},
    "open": {"networkPolicy": {"enabled": False}},
}
CUSTOM: dict[str, Any] = {
    "ScaledObject": {
        "required": ["scaleTargetRef", "triggers"],
        "additionalProperties": False,
        "properties": {
            "scaleTargetRef": {"required": ["name"]},
            "minReplicaCount": {"type": "integer", "minimum": 0},
            "maxReplicaCount": {"type": "integer", "minimum": 1},
            "pollingInterval": {"type": "integer"},
            "cooldownPeriod": {"type": "integer"},
            "advanced": {"type": "object"},
            "triggers": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "required": ["type", "metadata"],
                    "properties": {"metadata": {"type": "object", "additionalProperties": {"type": "string"}}},
                },
            },
        },
    },
    "PodMonitor": {
        "required": ["selector", "podMetricsEndpoints"],
        "additionalProperties": False,
        "properties": {
            "selector": {"required": ["matchLabels"]},
            "podMetricsEndpoints": {
                "type": "array",
                "items": {
                    "additionalProperties": False,
                    "properties": {
                        "port": {"type": "string"},
                        "path": {"type": "string"},
                        "interval": {"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"},
                    },
                },
            },
        },
    },
    "PrometheusRule": {
        "required": ["groups"],
        "properties": {"groups": {"type": "array", "items": {"required": ["name", "rules"]}}},
    },
}
"""The specs of objects that a cluster knows by its operators: what of them is used here."""


@pytest.fixture(scope="module", params=COMBINATIONS)
def rendered(request: pytest.FixtureRequest) -> Rendered:
    return Rendered(COMBINATIONS[request.param])


@pytest.mark.parametrize("name", COMBINATIONS)
def test_helm_finds_nothing_to_say_against_it(name: str) -> None:
    for version in VERSIONS:
        assert helm.lint(str(CHART), COMBINATIONS[name], strict=True, kube_version=f"v{version}.0")["errors"] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid(rendered: Rendered, version: str) -> None:
    for found in rendered.objects:
        if found["kind"] in CUSTOM:
            jsonschema.validate(found["spec"], CUSTOM[found["kind"]])
        else:
            kubernetes_validate.validate(found, version, strict=True)


def test_names_are_used_once(rendered: Rendered) -> None:
    names = [(o["kind"], o["metadata"]["name"]) for o in rendered.objects]
    assert len(names) == len(set(names))


def test_no_pod_has_more_rights_than_it_needs(rendered: Rendered) -> None:
    pods = list(rendered.pods())
    assert len(pods) >= 6
    for name, pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["limits"]["memory"], name
            assert container["resources"]["requests"]["cpu"], name
        assert all("hostPath" not in volume for volume in pod["volumes"]), name


def test_no_secret_stands_in_plain_sight(rendered: Rendered) -> None:
    assert not [o for o in rendered.ours if o["kind"] == "Secret"]
    for name, pod in rendered.pods():
        for container in pod["containers"]:
            for variable in container["env"]:
                assert "KEY" not in variable["name"] or "secretKeyRef" in variable["valueFrom"], name


def test_running_work_has_its_grace_before_it_is_killed(rendered: Rendered) -> None:
    for name in rendered.of("Deployment"):
        pod = rendered.of("Deployment")[name]["spec"]["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] > float(rendered.env(name)["CTN_GRACE"])


def test_every_consumer_that_scaling_reads_exists_in_the_topology(rendered: Rendered) -> None:
    for scaled in rendered.of("ScaledObject").values():
        for trigger in (t["metadata"] for t in scaled["spec"]["triggers"]):
            subjects = Subjects(trigger["stream"].removesuffix("_WORK").lower())
            _, kind = subjects.parse_work_consumer(trigger["consumer"])
            there = {(consumer.stream, consumer.name) for consumer in queues(subjects, [kind]).consumers}
            assert (trigger["stream"], trigger["consumer"]) in there
            assert trigger["stream"] in {stream.name for stream in installation(subjects).streams}


def test_what_is_scaled_has_no_fixed_number_of_replicas(rendered: Rendered) -> None:
    scaled = {*rendered.of("ScaledObject"), *rendered.of("HorizontalPodAutoscaler")}
    for name, deployment in rendered.of("Deployment").items():
        assert ("replicas" in deployment["spec"]) == (name not in scaled), name


def test_services_read_what_they_are_told(rendered: Rendered, tmp_path: Any) -> None:
    for name in rendered.of("Deployment"):
        told = settings(rendered.env(name))
        assert told.nats_url.startswith("nats://")
        assert told.log_format == "json"
    [found] = [o for o in rendered.ours if o["kind"] == "ConfigMap" and "concertino.toml" in o["data"]]
    file = tmp_path / "concertino.toml"
    file.write_text(found["data"]["concertino.toml"])
    assert set(config.load(str(file)).kinds) == set(rendered.of("ScaledObject")) - {"synthesizer", "orchestrator"}


def test_kinds_are_described_as_they_announce_themselves() -> None:
    shipped = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))["workers"]
    for worker in (code, docs, general):
        announced = worker._announcement
        said = shipped[worker.kind]
        assert (said["description"], tuple(said.get("sources", ()))) == (announced.description, announced.sources)


def test_everything_said_arrives() -> None:
    found = Rendered(EVERYTHING)
    assert set(found.of("Deployment")) == {"orchestrator", "synthesizer", "web", "code", "docs", "legal"}
    deployment = found.of("Deployment")["web"]
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert deployment["metadata"]["labels"]["team"] == "search"
    assert container["image"] == "ghcr.io/example/concertino-web:1.2.3"
    assert (container["imagePullPolicy"], pod["imagePullSecrets"]) == ("Always", [{"name": "pull"}])
    assert found.of("Deployment")["legal"]["spec"]["template"]["spec"]["containers"][0]["image"] == (
        "ghcr.io/example/example/legal:1.2.3"
    )
    assert {"CTN_SLOTS": "3", "CTN_LEASE": "20", "CTN_ATTEMPTS": "2", "CTN_SEARCH": "brave"}.items() <= found.env("web").items()
    assert found.env("web")["ANTHROPIC_BASE_URL"] == "https://gateway.example.org"
    assert found.env("web")["CTN_NATS_CREDS"] == "/etc/concertino/credentials/web.creds"
    assert {"secretRef": {"name": "brave"}} in container["envFrom"]
    assert {"name": "data", "mountPath": "/data", "readOnly": True} in container["volumeMounts"]
    assert deployment["spec"]["template"]["metadata"]["labels"]["tier"] == "agents"
    assert (pod["nodeSelector"], pod["priorityClassName"]) == ({"pool": "agents"}, "low")
    assert "topologySpreadConstraints" not in pod
    assert found.of("Deployment")["code"]["spec"]["template"]["spec"]["runtimeClassName"] == "gvisor"
    assert found.of("HorizontalPodAutoscaler")["orchestrator"]["spec"]["minReplicas"] == 2
    assert found.of("ScaledObject")["synthesizer"]["spec"]["cooldownPeriod"] == 600
    assert found.of("PodDisruptionBudget")["web"]["spec"]["maxUnavailable"] == "50%"
    assert found.of("PrometheusRule")["demo-concertino"]["metadata"]["labels"]["release"] == "prometheus"
    assert {"fleet", "tasks", "spend"} <= set(found.of("ConfigMap"))
    assert "Job" not in {o["kind"] for o in found.objects}
    [test] = found.of("Pod").values()
    assert test["spec"]["containers"][0]["command"][-2:] == ['Say "hello" to: everybody', "web=https://example.org"]
    file = tomllib.loads(found.of("ConfigMap")["demo-concertino"]["data"]["concertino.toml"])
    assert file["models"]["plan"]["effort"] == "high"
    assert file["kinds"]["legal"]["description"].startswith("Reads contracts")


def test_each_service_reaches_what_it_needs_and_nothing_else() -> None:
    found = Rendered({"workers": {"legal": {"image": {"repository": "x"}}}}).of("NetworkPolicy")
    ports = {
        name: {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]} for name, policy in found.items()
    }
    assert ports == {
        **{key: {53, 4222, 443} for key in ("orchestrator", "synthesizer", "code", "docs")},
        "web": {53, 4222, 443, 80},
        "general": {53, 4222, 443, 80},
        "legal": {53, 4222},
        "helper": {53, 4222},
    }
    [public] = [r["to"][0]["ipBlock"] for r in found["web"]["spec"]["egress"] if "ipBlock" in r["to"][0]]
    assert {"169.254.0.0/16", "10.0.0.0/8"} <= set(public["except"])


def test_the_server_that_comes_with_it_is_durable() -> None:
    found = Rendered()
    server = next(o for o in found.objects if o["kind"] == "StatefulSet")
    assert server["spec"]["replicas"] == 3
    assert server["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "10Gi"
    assert "demo-nats" in found.of("PodDisruptionBudget")
    assert found.env("web")["CTN_NATS_URL"] == "nats://demo-nats.prod.svc:4222"
    assert "demo-nats" in found.of("Service")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"workers": {"web": {"replics": 3}}}, "replics"),
        ({"worker": {}}, "worker"),
        ({"workers": {"Web": {}}}, "Web"),
        ({"workers": {"plan": {}}}, "plan"),
        ({"defaults": {"scaling": {"by": "magic"}}}, "scaling"),
        ({"search": {"provider": "bing"}}, "provider"),
        ({"bus": {"url": "http://nats"}}, "url"),
        ({"nats": {"enabled": False}}, "set bus.url"),
        ({"nats": {"enabled": False}, "bus": {"url": "nats://x:4222"}, "workers": {"web": QUEUE}}, "bus.monitoring"),
        ({"orchestrator": QUEUE}, "orchestrator.scaling.by"),
        ({"workers": {"legal": QUEUE}}, "description"),
    ],
)
def test_what_cannot_work_is_refused_with_a_word_about_it(values: dict[str, Any], says: str) -> None:
    with pytest.raises(helm.HelmError, match=says):
        Rendered(values)


def test_the_notes_say_what_to_do_next() -> None:
    assert "helm test demo --namespace prod" in Rendered().notes
    assert "create secret generic anthropic" in Rendered().notes
    assert "create secret" not in Rendered({"model": {"existingSecret": "anthropic"}}).notes


def test_the_readme_is_as_generated() -> None:
    values = (CHART / "values.yaml").read_text(encoding="utf-8")
    assert (CHART / "README.md").read_text(encoding="utf-8") == readme(values), "run `make docs`"


def test_every_value_can_be_set_as_the_schema_says() -> None:
    """What values.yaml has, the schema knows, and nothing else: a value that is left out of either is a trap."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))

    def same(value: Any, known: dict[str, Any], path: str) -> None:
        if value and known.get("additionalProperties") is False:
            assert set(known["properties"]) - {"global"} == set(value), path
            for name, inner in value.items():
                same(inner, known["properties"][name], f"{path}.{name}")

    known = schema["properties"]
    assert set(known) - {"global"} == set(values)
    for name in set(values) - {"orchestrator", "synthesizer", "config", "workers", "nats"}:
        same(values[name], known[name], name)
    assert known["orchestrator"] == known["synthesizer"] == known["defaults"]
    worker = known["workers"]["additionalProperties"]["properties"]
    assert set(worker) == {*known["defaults"]["properties"], "description", "sources", "tools"}
