"""The values: each does something, what is misspelt is refused, hostile ones do no harm, and earlier ones still hold."""

from __future__ import annotations

import json
import tarfile
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
import yaml
from chart import CHART, Object, Rendered

from concertino.runtime import config
from concertino.runtime.settings import settings

Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
SHIPPED = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
PREVIOUS = Path(__file__).with_name("values") / "5b2e8ba.yaml"
"""The values.yaml of the release before."""

Values = dict[str, Any]
Path_ = tuple[str, ...]

EXISTING: Values = {"nats": {"enabled": False}, "bus": {"url": "nats://nats.bus:4222", "monitoring": "nats.bus:8222"}}
QUEUE: Values = {"defaults": {"scaling": {"by": "queue"}}, "orchestrator": {"scaling": {"by": "fixed"}}}
PUBLIC: Values = {"defaults": {"egress": {"public": True}}}
TRACED: Values = {"tracing": {"endpoint": "http://collector:4318"}}
SECRETS: Values = {"defaults": {"envFrom": [{"secretRef": {"name": "keys-of-ones-own"}}]}}
PEER = {"namespaceSelector": {"matchLabels": {"name": "elsewhere"}}}

# What each value is changed to, what must be set for it to matter, and what then stands in what is rendered (by default the
# value itself). What is not here is changed by `_otherwise`.
CHANGES: dict[str, tuple[Any, Values, str]] = {
    "nameOverride": ("other", {}, "app.kubernetes.io/name: other"),
    "fullnameOverride": ("other", {}, "name: other-web"),
    "commonLabels": ({"team": "search"}, {}, "team: search"),
    "image.registry": ("ghcr.io/x", {}, "image: ghcr.io/x/concertino-web"),
    "image.tag": (f"sha256:{'0' * 64}", {}, f"concertino-web@sha256:{'0' * 64}"),
    "image.pullPolicy": ("Never", {}, "imagePullPolicy: Never"),
    "imagePullSecrets": (["pull"], {}, "imagePullSecrets:\n      - name: pull"),
    "global.usersSecret": (
        "mine",
        {},
        "- key: ctn-worker-web\n                path: password\n              name: mine",
    ),
    "bus.url": ("nats://elsewhere:4333", EXISTING, "nats://elsewhere:4333"),
    "bus.monitoring": ("https://elsewhere:8333", QUEUE, "natsServerMonitoringEndpoint: elsewhere:8333"),
    "bus.account": ("AGENTS", QUEUE, "account: AGENTS"),
    "bus.credentialsSecret": ("creds", EXISTING, "name: creds"),
    "bus.credentialsKey": (
        "other.creds",
        {**EXISTING, "bus": {**EXISTING["bus"], "credentialsSecret": "x"}},
        "key: other.creds",
    ),
    "bus.credentialsType": ("nkey", {**EXISTING, "bus": {**EXISTING["bus"], "credentialsSecret": "x"}}, "name: CTN_NATS_NKEY"),
    "bus.tls.caSecret": ("ca", {}, "name: CTN_NATS_CA"),
    "bus.tls.certSecret": ("cert", {}, "name: CTN_NATS_CERT"),
    "bus.prefix": ("prod", {}, "PROD_"),
    "bus.replicas": (2, {}, "name: CTN_REPLICAS\n          value: '2'"),
    "bus.keep": (1234567, {}, "name: CTN_KEEP\n          value: '1234567'"),
    "bus.maxQueued": (2000000, {}, "name: CTN_MAX_QUEUED\n          value: '2000000'"),
    "model.name": ("extractive", {}, "value: extractive"),
    "model.maxCost": (2.5, {}, "name: CTN_MAX_COST\n          value: '2.5'"),
    "model.baseUrl": ("https://gateway:8443", {}, "value: https://gateway:8443"),
    "search.provider": ("brave", {"search": {"existingSecret": "keys"}}, "value: brave"),
    "search.existingSecret": ("keys", {"search": {"provider": "tavily"}, **SECRETS}, "key: TAVILY_API_KEY"),
    "hedge": ("auto,web=30", {}, "name: CTN_HEDGE\n          value: auto,web=30"),
    "tracing.endpoint": ("http://collector:4319", {}, "port: 4319"),
    "tracing.ratio": (0.125, TRACED, "value: '0.125'"),
    "tracing.headersSecret": ("headers", TRACED, "key: OTEL_EXPORTER_OTLP_HEADERS"),
    "config": ({"models": {"plan": {"max_tokens": 4096}}}, {}, "[models.plan]"),
    "defaults.replicas": (7, {}, "replicas: 7"),
    "defaults.slots": (17, {}, "name: CTN_SLOTS\n          value: '17'"),
    "defaults.lease": (17.5, {}, "name: CTN_LEASE\n          value: '17.5'"),
    "defaults.attempts": (17, {}, "name: CTN_ATTEMPTS\n          value: '17'"),
    "defaults.grace": (117, {}, "terminationGracePeriodSeconds: 132"),
    "defaults.logLevel": ("debug", {}, "name: CTN_LOG_LEVEL\n          value: debug"),
    "defaults.command": (["python", "own.py"], {}, "- own.py"),
    "defaults.image": ({"repository": "own", "tag": "2", "registry": "r.example"}, {}, "image: r.example/own:2"),
    "defaults.resources.requests.cpu": ("123m", {}, "cpu: 123m"),
    "defaults.resources.requests.memory": ("123Mi", {}, "memory: 123Mi"),
    "defaults.resources.limits.memory": ("1234Mi", {}, "memory: 1234Mi"),
    "defaults.cache": ("17Gi", {}, "sizeLimit: 17Gi"),
    "workers.code.cache": ("18Gi", {}, "sizeLimit: 18Gi"),
    "workers.general.cache": ("19Gi", {}, "sizeLimit: 19Gi"),
    "defaults.sourceRoots": (["/srv/a", "/srv/b"], {}, "name: CTN_SOURCE_ROOTS\n          value: /srv/a:/srv/b"),
    "defaults.env": ([{"name": "OWN", "value": "1"}], {}, "name: OWN"),
    "defaults.envFrom": ([{"configMapRef": {"name": "own"}}], {}, "configMapRef:\n            name: own"),
    "defaults.volumes": ([{"name": "own", "emptyDir": {}}], {}, "emptyDir: {}\n        name: own"),
    "defaults.volumeMounts": ([{"name": "tmp", "mountPath": "/own"}], {}, "mountPath: /own"),
    "defaults.podLabels": ({"own": "label"}, {}, "own: label"),
    "defaults.podAnnotations": ({"own": "annotation"}, {}, "own: annotation"),
    "defaults.nodeSelector": ({"pool": "own"}, {}, "nodeSelector:\n        pool: own"),
    "defaults.tolerations": ([{"key": "own", "operator": "Exists"}], {}, "tolerations:\n      - key: own"),
    "defaults.affinity": ({"nodeAffinity": {}}, {}, "affinity:\n        nodeAffinity: {}"),
    "defaults.priorityClassName": ("own", {}, "priorityClassName: own"),
    "defaults.runtimeClassName": ("gvisor", {}, "runtimeClassName: gvisor"),
    "defaults.serviceAccount.annotations": ({"own": "role"}, {}, "own: role"),
    "defaults.maxUnavailable": ("50%", {}, "maxUnavailable: 50%"),
    "defaults.credentialsSecret": ("creds", EXISTING, "name: creds"),
    "defaults.lifecycle": ({"preStop": {"sleep": {"seconds": 5}}}, {}, "preStop:\n            sleep:"),
    "defaults.scaling.by": ("cpu", {}, "kind: HorizontalPodAutoscaler"),
    "defaults.scaling.min": (3, QUEUE, "minReplicaCount: 3"),
    "defaults.scaling.max": (33, QUEUE, "maxReplicaCount: 33"),
    "defaults.scaling.cpu": (33, {"defaults": {"scaling": {"by": "cpu"}}}, "averageUtilization: 33"),
    "defaults.scaling.lag": (33, QUEUE, "lagThreshold: '33'"),
    "defaults.scaling.polling": (33, QUEUE, "pollingInterval: 33"),
    "defaults.scaling.cooldown": (33, QUEUE, "cooldownPeriod: 33"),
    "defaults.scaling.stabilization": (33, QUEUE, "stabilizationWindowSeconds: 33"),
    "defaults.egress.model": (
        True,
        {"workers": {"own": {"description": "x"}}, "model": {"existingSecret": "key"}},
        "name: key",
    ),
    "defaults.egress.public": (True, {"workers": {"own": {"description": "x"}}}, "port: 80"),
    "defaults.egress.rules": ([{"to": [PEER], "ports": [{"port": 99}]}], {}, "port: 99"),
    "networkPolicy.bus": ([PEER], EXISTING, "name: elsewhere"),
    "networkPolicy.clients": ([PEER], {}, "name: elsewhere"),
    "networkPolicy.metricsFrom": ([PEER], {}, "name: elsewhere"),
    "networkPolicy.model": ([PEER], {}, "name: elsewhere"),
    "networkPolicy.tracing": ([PEER], TRACED, "name: elsewhere"),
    "networkPolicy.dns": ([PEER], {}, "name: elsewhere"),
    "networkPolicy.private": (["10.9.0.0/16"], {}, "10.9.0.0/16"),
    "monitoring.podMonitor.enabled": (True, {}, "kind: PodMonitor"),
    "monitoring.podMonitor.labels": ({"own": "label"}, {"monitoring": {"podMonitor": {"enabled": True}}}, "own: label"),
    "monitoring.podMonitor.interval": ("17s", {"monitoring": {"podMonitor": {"enabled": True}}}, "interval: 17s"),
    "monitoring.rules.enabled": (True, {}, "kind: PrometheusRule"),
    "monitoring.rules.labels": ({"own": "label"}, {"monitoring": {"rules": {"enabled": True}}}, "own: label"),
    "monitoring.rules.runbooks": (
        "https://wiki.example.org/agents",
        {"monitoring": {"rules": {"enabled": True}}},
        "runbook_url: https://wiki.example.org/agents#nobody-serves",
    ),
    "monitoring.port": (9999, {}, "containerPort: 9999"),
    "monitoring.dashboards.enabled": (True, {}, "name: demo-concertino-fleet"),
    "monitoring.dashboards.labels.grafana_dashboard": (
        "own",
        {"monitoring": {"dashboards": {"enabled": True}}},
        "grafana_dashboard: own",
    ),
    "provision.credentialsSecret": ("creds", EXISTING, "name: creds"),
    "test.request": ("Why?", {}, "- Why?"),
    "test.sources": (["web=https://example.org"], {}, "- web=https://example.org"),
    "test.credentialsSecret": ("creds", EXISTING, "name: creds"),
    "nats.config.cluster.enabled": (False, {"bus": {"replicas": 1}}, ""),
    "nats.config.cluster.replicas": (5, {}, "demo-nats-4"),
    "nats.config.jetstream.fileStore.pvc.size": ("17Gi", {}, "storage: 17Gi"),
    "nats.config.jetstream.merge.sync_interval": ("10s", {}, '"sync_interval": "10s"'),
    "nats.config.merge.$include": ("./other.conf", {}, "include ./other.conf;"),
    "nats.container.image.tag": ("2.16", {}, "image: nats:2.16"),
    "nats.container.patch": ([], {}, ""),
    "nats.podTemplate.patch": ([], {}, ""),
    "nats.natsBox.enabled": (True, {}, "name: demo-nats-box"),
}
for _kind in ("web", "code", "docs", "general"):
    CHANGES[f"workers.{_kind}.description"] = ("Does otherwise.", {}, 'description = "Does otherwise."')
    if _kind != "general":
        CHANGES[f"workers.{_kind}.sources"] = (["mail"], {}, 'sources = ["mail"]')
GONE = {
    "defaults.spread": "topologySpreadConstraints",
    "orchestrator.egress.model": "160.79.104.0/23",
    "synthesizer.egress.model": "160.79.104.0/23",
    **{f"workers.{kind}.egress.model": "160.79.104.0/23" for kind in ("web", "code", "docs", "general")},
    **{f"workers.{kind}.egress.public": "0.0.0.0/0" for kind in ("web", "general")},
    "networkPolicy.enabled": "kind: NetworkPolicy",
    "provision.enabled": "kind: Job",
    "nats.config.cluster.enabled": '"routes"',
    "nats.config.jetstream.fileStore.pvc.enabled": "storage: 10Gi",
}
"""What there is less of where the value is false."""
REFUSED = {"nats.enabled": "set bus.url", "nats.config.jetstream.enabled": "streams of JetStream"}
"""What is said where the value is false."""


def leaves(value: Values, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Every value that is no table, and every empty table, with the way to it."""
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from leaves(inner, (*path, key))
        else:
            yield (*path, key), inner


LEAVES = {".".join(path): (path, value) for path, value in leaves(SHIPPED)}


def _at(path: Path_, value: Any, given: Values) -> Values:
    """``given`` with ``value`` at ``path``."""
    head, *rest = path
    inner = given.get(head)
    return {**given, head: _at(tuple(rest), value, inner if isinstance(inner, dict) else {}) if rest else value}


def _otherwise(path: Path_, value: Any) -> tuple[Any, Values, str]:
    """For a value that needs no words: as in :data:`CHANGES`."""
    match value:
        case bool():
            return not value, {}, f"{path[-1]}: {str(not value).lower()}"
        case int():
            return value + 7, {}, f"{path[-1]}: {value + 7}"
        case str():
            return "otherwise", {}, "otherwise"
        case list():
            return ["otherwise"], {}, "- otherwise"
    raise AssertionError(f"say in CHANGES what to change {'.'.join(path)} to")


def _text(values: Values) -> str:
    """What is rendered, without what is random."""
    objects: list[Object] = [o for o in Rendered(values).objects if o["kind"] != "Secret"]
    files = [text for o in objects if o["kind"] == "ConfigMap" for text in o.pop("data").values()]
    return yaml.dump_all(objects, Dumper=Dumper, width=10_000) + "\n".join(files)


@cache
def _before(values: str) -> str:
    return _text(json.loads(values))


@pytest.mark.parametrize("name", LEAVES)
def test_every_value_changes_what_it_says(name: str) -> None:
    """Each leaf of values.yaml by itself: another value makes another installation, and what was said stands in it."""
    path, value = LEAVES[name]
    if name in REFUSED:
        with pytest.raises(helm.HelmError, match=REFUSED[name]):
            Rendered(_at(path, not value, {}))
        return
    changed, given, stands = CHANGES.get(name) or _otherwise(path, value)
    assert changed != value
    before, after = _before(json.dumps(given)), _text(_at(path, changed, given))
    assert before != after
    if name in GONE:
        assert after.count(GONE[name]) < before.count(GONE[name])
    elif stands:
        assert after.count(stands) > before.count(stands)


def test_nothing_is_tested_that_is_no_value() -> None:
    assert {*CHANGES, *GONE, *REFUSED} <= set(LEAVES), {*CHANGES, *GONE, *REFUSED} - set(LEAVES)


def tables(value: Values, path: Path_ = ()) -> Iterator[Path_]:
    """The way to every table and every value in it."""
    for key, inner in value.items():
        yield (*path, key)
        if isinstance(inner, dict):
            yield from tables(inner, (*path, key))


FREE = ("nats", "defaults.resources.", "monitoring.dashboards.labels.")
"""What may be taken out of a table, as Kubernetes and the chart of the server take it."""


TABLES = {**SHIPPED, "orchestrator": {}, "synthesizer": {}, "workers": {}}  # what a service does not say the defaults do


@pytest.mark.parametrize("name", [n for path in tables(TABLES) if not (n := ".".join(path)).startswith(FREE)])
def test_null_is_nothing_or_refused_by_name(name: str) -> None:
    """Helm takes a value that is null out of values.yaml: no template stumbles over it, and none makes half an installation."""
    *_, key = path = tuple(name.split("."))
    try:
        found = _text(_at(path, None, {}))
    except helm.HelmError as e:
        found = str(e)
    assert found == _before("{}") or f"missing property '{key}'" in found


def test_what_a_service_says_goes_before_the_defaults() -> None:
    """All of the defaults said otherwise for one worker hold for that one alone."""
    said: Values = EXISTING
    for name, (path, value) in LEAVES.items():
        if path[0] == "defaults" and path[1] not in ("egress", "scaling"):
            said = _at(("workers", "web", *path[1:]), (CHANGES.get(name) or _otherwise(path, value))[0], said)
    before, after = Rendered(EXISTING), Rendered(said)
    assert _of(before, "docs") == _of(after, "docs")
    text = yaml.dump_all(_of(after, "web"), Dumper=Dumper, width=10_000)
    for name, (_, _, stands) in CHANGES.items():
        if name.startswith("defaults.") and not name.startswith(("defaults.egress", "defaults.scaling")):
            assert stands in text, name


def _of(found: Rendered, service: str) -> list[Object]:
    return [o for o in found.objects if o["metadata"]["name"] == f"demo-concertino-{service}"]


def test_every_value_can_be_set_as_the_schema_says() -> None:
    """What values.yaml has, the schema knows, and nothing else: a value that is left out of either is a trap."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

    def resolved(known: Values) -> Values:
        [known] = known.get("allOf", [known])
        while "$ref" in known:
            found: Any = schema
            for step in known["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            known = found
        return known

    def same(value: Any, known: Values, path: str) -> None:
        known = resolved(known)
        if (
            value
            and isinstance(value, dict)
            and known.get("additionalProperties") is False
            and "claims" not in known["properties"]
        ):
            assert set(known["properties"]) == set(value), path
            for name, inner in value.items():
                same(inner, known["properties"][name], f"{path}.{name}")

    known = schema["properties"]
    assert set(known) == set(SHIPPED)
    for name in set(SHIPPED) - {"orchestrator", "synthesizer", "config", "workers", "nats"}:
        same(SHIPPED[name], known[name], name)
    assert [known["orchestrator"]] == [known["synthesizer"]] == known["defaults"]["allOf"]
    worker = resolved(known["workers"]["additionalProperties"])["properties"]
    assert set(worker) == {*resolved(known["defaults"])["properties"], "description", "sources", "tools"}


def test_the_values_of_the_server_are_those_of_its_chart() -> None:
    """Its own chart has no schema: ours knows every table of it, but for those that take any key."""
    [archive] = (CHART / "charts").glob("nats-*.tgz")
    with tarfile.open(archive) as held:
        text = held.extractfile("nats/values.yaml")
        assert text
        shipped = yaml.safe_load(text)
    known = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))["properties"]["nats"]
    assert known["properties"].pop("enabled") == {"type": "boolean"}

    def same(value: Values, known: Values, path: str) -> None:
        assert known["additionalProperties"] is False, path
        assert set(known["properties"]) == set(value), path
        for name, inner in known["properties"].items():
            if inner:
                same(value[name], inner, f"{path}.{name}")

    same(shipped, known, "nats")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"nats": {"confg": {}}}, r"at '/nats': additional properties 'confg' not allowed"),
        (
            {"nats": {"config": {"jetstream": {"fileStore": {"pvc": {"storageClass": "fast"}}}}}},
            r"at '/nats/config/jetstream/fileStore/pvc': additional properties 'storageClass' not allowed",
        ),
        ({"workers": {"web": {"replics": 3}}}, r"at '/workers/web': additional properties 'replics' not allowed"),
        ({"defaults": {"scalling": {}}}, r"at '/defaults': additional properties 'scalling' not allowed"),
        ({"bus": {"tls": {"ca": "x"}}}, r"at '/bus/tls': additional properties 'ca' not allowed"),
        ({"model": {"exitsingSecret": "x"}}, r"at '/model': additional properties 'exitsingSecret' not allowed"),
        ({"defaults": {"resources": {"limit": {}}}}, r"additional properties 'limit' not allowed"),
        ({"workers": {"web": {"resources": {"limits": {"memory": None}}}}}, r"got null, want integer or string"),
        ({"networkPolicy": {"bus": [{"namespaceselector": {}}]}}, r"additional properties 'namespaceselector' not allowed"),
        ({"defaults": {"egress": {"rules": [{"from": []}]}}}, r"additional properties 'from' not allowed"),
        ({"bus": {"replicas": "3"}}, r"at '/bus/replicas': got string, want integer"),
        ({"defaults": {"env": [{"name": "X", "value": 1}]}}, r"at '/defaults/env/0/value': got number, want string"),
        ({"defaults": {"cache": "1 GB"}}, r"at '/defaults/cache'"),
        ({"workers": {"my_kind": {}}}, r"invalid propertyName 'my_kind'"),
        ({"workers": {"Legal": {}}}, r"invalid propertyName 'Legal'"),
        ({"workers": {"a" * 33: {}}}, r"invalid propertyName"),
        ({"commonLabels": {"team": "search & find"}}, r"at '/commonLabels/team'"),
        ({"model": {"baseUrl": "https://me:secret@gateway"}}, r"at '/model/baseUrl'"),
        ({"networkPolicy": {"private": ["10.0.0.0"]}}, r"at '/networkPolicy/private/0'"),
        ({"defaults": {"resources": {"limits": {"memory": ""}}}}, r"at '/defaults/resources/limits/memory'"),
        ({"bus": {"replicas": 5}}, r"bus.replicas is 5, .* at the most: 3"),
        ({"nats": {"config": {"cluster": {"enabled": False}}}}, r"bus.replicas is 3, .* at the most: 1"),
        ({"networkPolicy": {"dns": []}}, r"at '/networkPolicy/dns': minItems"),
        ({"fullnameOverride": "Demo"}, r"at '/fullnameOverride'"),
    ],
)
def test_what_is_misspelt_is_refused_by_its_name(values: Values, says: str) -> None:
    with pytest.raises(helm.HelmError, match=says):
        Rendered(values)


def test_values_of_the_release_before_still_hold() -> None:
    """All that it had can be said to this one, in a file of values or one by one."""
    previous = yaml.safe_load(PREVIOUS.read_text(encoding="utf-8"))
    found = Rendered(previous)
    now = Rendered()
    assert {(o["kind"], o["metadata"]["name"]) for o in now.objects if o["kind"] != "Job"} == {
        (o["kind"], o["metadata"]["name"]) for o in found.objects if o["kind"] != "Job"
    }
    for _, pod in found.pods():
        kubernetes_validate.validate(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod}, "1.35", strict=True
        )


NASTY = 'it\'s "quoted", a: colon, {{ .Values }}, $HOME `x` \\ and\na second line # ünï ☃'


def test_what_is_said_arrives_letter_by_letter(tmp_path: Path) -> None:
    found = Rendered(
        {
            "config": {
                "models": {"plan": {"model": NASTY, "max_tokens": 4096}},
                "prices": {NASTY: {"input": 3, "output": 1.5}},
            },
            "defaults": {"env": [{"name": "NASTY", "value": NASTY}], "podAnnotations": {"nasty": NASTY}},
            "workers": {"legal": {"description": NASTY, "command": ["sh", "-c", NASTY]}},
            "test": {"request": NASTY, "sources": ['docs=/it\'s, "here"']},
        }
    )
    assert found.env("legal")["NASTY"] == NASTY
    assert found.of("Deployment")["legal"]["spec"]["template"]["metadata"]["annotations"]["nasty"] == NASTY
    assert found.pod("legal")["containers"][0]["command"][-1] == NASTY
    assert found.pod("test")["containers"][0]["command"][-2:] == [NASTY, 'docs=/it\'s, "here"']
    text = found.of("ConfigMap")["demo-concertino"]["data"]["concertino.toml"]
    assert tomllib.loads(text)["kinds"]["legal"]["description"] == NASTY
    file = tmp_path / "concertino.toml"
    file.write_text(text)
    read = config.load(str(file))
    assert (read.model("plan").model, read.model("plan").max_tokens, read.prices[NASTY].input) == (NASTY, 4096, 3.0)


@pytest.mark.parametrize(
    ("size", "bytes_"),
    [
        ("1Gi", 858_993_459),
        ("5Gi", 4_294_967_296),
        ("500Mi", 419_430_400),
        ("10G", 8_000_000_000),
        ("2Ti", 1_759_218_604_441),
        ("1500000000", 1_200_000_000),
        ("1.5Gi", 1_288_490_188),
        (1_500_000_000, 1_200_000_000),
        ("100Ki", 1 << 20),
    ],
)
def test_clones_and_indexes_keep_below_the_size_of_their_folder(size: str | int, bytes_: int, tmp_path: Path) -> None:
    found = Rendered({"workers": {"docs": {"cache": size}}})
    assert settings(found.laid_out("docs", tmp_path)).cache_bytes == bytes_
    assert [v["emptyDir"] for v in found.pod("docs")["volumes"] if v["name"] == "cache"] == [{"sizeLimit": size}]


def test_a_variable_and_a_volume_of_ones_own_replace_ours(tmp_path: Path) -> None:
    own = {"name": "cache", "persistentVolumeClaim": {"claimName": "indexes"}}
    found = Rendered({"workers": {"code": {"env": [{"name": "CTN_SLOTS", "value": "9"}], "volumes": [own]}}})
    [container] = found.pod("code")["containers"]
    assert [v["value"] for v in container["env"] if v["name"] == "CTN_SLOTS"] == ["9"]
    assert [v for v in found.pod("code")["volumes"] if v["name"] == "cache"] == [own]
    assert settings(found.laid_out("code", tmp_path)).slots == 9


def test_labels_of_ones_own_do_not_break_what_selects_pods() -> None:
    values = {"app.kubernetes.io/name": "x", "app.kubernetes.io/instance": "x", "app.kubernetes.io/component": "x", "team": "y"}
    found = Rendered({"commonLabels": values, "defaults": {"podLabels": values}})
    for deployment in found.of("Deployment").values():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert labels["team"] == deployment["metadata"]["labels"]["team"] == "y"


@pytest.mark.parametrize("release", ["a" * 53, "concertino", "x"])
def test_long_names_stay_names_and_no_two_meet(release: str) -> None:
    kinds = {f"{'k' * 31}{i}": {"description": "x", "scaling": {"by": "queue"}} for i in range(2)}
    nats = {"nats": {"fullnameOverride": "bus"}} if len(release) > 47 else {}
    found = Rendered({"workers": kinds, "monitoring": {"dashboards": {"enabled": True}}, **nats}, release=release)
    names = [(o["kind"], o["metadata"]["name"]) for o in found.objects]
    assert len(names) == len(set(names))
    assert max(len(name) for _, name in names if not name.startswith(f"{release}-nats")) <= 63
    targets = {o["spec"]["scaleTargetRef"]["name"] for o in found.objects if o["kind"] == "ScaledObject"}
    assert targets <= {name for kind, name in names if kind == "Deployment"}


def test_two_releases_in_a_namespace_share_nothing() -> None:
    one, other = ({(o["kind"], o["metadata"]["name"]) for o in Rendered(release=name).objects} for name in ("one", "two"))
    assert not one & other
    long = [f"{'a' * 49}-{name}" for name in ("one", "two")]
    one, other = ({(o["kind"], o["metadata"]["name"]) for o in Rendered(EXISTING, release=name).objects} for name in long)
    assert not one & other


def test_a_name_too_long_for_the_server_is_refused() -> None:
    with pytest.raises(helm.HelmError, match=r"nats\.fullnameOverride"):
        Rendered(release="a" * 53)


def test_values_of_the_command_line() -> None:
    """Commas in ``--set`` part values, so those of a list of servers are escaped."""
    told = helm.parse_set_string(r"nats.enabled=false,bus.url=nats://a:4222\,nats://b:4223,bus.replicas=1,workers.code=null")
    found = Rendered(told)
    assert found.env("web")["CTN_NATS_URL"] == "nats://a:4222,nats://b:4223"
    assert "code" not in found.of("Deployment")
    ports = [p["port"] for rule in found.of("NetworkPolicy")["web"]["spec"]["egress"] for p in rule["ports"]]
    assert {4222, 4223} <= set(ports)
    with pytest.raises(helm.HelmError):
        Rendered(helm.parse_set_string("nats.enabled=false,bus.url=nats://a:4222,nats://b:4223"))


def test_nobody_at_all() -> None:
    """No replica of a kind that nothing wakes: planners are not told of it. One that is woken: they are."""
    found = Rendered({"workers": {"web": {"replicas": 0}, "docs": {"replicas": 0, "scaling": {"by": "queue"}}}})
    assert found.of("Deployment")["web"]["spec"]["replicas"] == 0
    told = tomllib.loads(found.of("ConfigMap")["demo-concertino"]["data"]["concertino.toml"])
    assert set(told["kinds"]) == {"code", "docs", "general"}
