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
helm install concertino helm/concertino --namespace agents --create-namespace --wait --timeout 15m
helm test concertino --namespace agents
```

It brings the official NATS chart, set to be durable and closed (three servers, volumes, a disruption budget, a user with
its own permissions for each service); `nats.enabled=false` and `bus.url` use a server that is there. What to watch, and
what to do when an alert fires, is in [docs/operations.md](../../docs/operations.md).

A worker of your own is five lines:

```yaml
workers:
  legal:
    image: {registry: registry.example.org, repository: legal-worker, tag: "1"}
    command: [python, legal.py]
    description: Reads contracts and names clauses that carry risk.
    scaling: {by: queue}
```

`scaling.by: queue` needs [KEDA](https://keda.sh): it reads how many pieces of work wait in the kind's queues, from none
(`min: 0`) to `max` replicas. A lane asks for `lag` pieces per replica, what is worked on included, and the lane that asks
for more decides. Which replica leaves is up to Kubernetes: what it works on goes on for `grace` seconds, and is handed back
then.

On one node, for a look:

```yaml
nats: {config: {cluster: {enabled: false}}}
bus: {replicas: 1}
defaults: {replicas: 1}
```

## Who may do what on the bus

Each service signs on to NATS as a user of its own (`ctn-orchestrator`, `ctn-worker-web`, ...), whose permissions name the
subjects that it needs. Streams are in the account `CTN`; workers of each kind and applications have accounts of their own
that see of it what they need ([docs/security.md](../../docs/security.md)). The ConfigMap `<release>-nats-authorization`
holds all of that; passwords are in the Secret `<release>-nats-users`, are made once, and stay over upgrades. A pod gets the
password of its own user alone. Applications are the user `ctn-client`:

```
kubectl get secret concertino-nats-users --namespace agents --output go-template='{{index .data "ctn-client" | base64decode}}'
```

A kind that is added gets its user with the next upgrade; the servers take it up within a minute or two, without a restart,
and its pods try until then.

What renders the chart without looking at the cluster (`helm template`, Argo CD) would make new passwords each time. There,
make the secret yourself and name it as `global.usersSecret`. It has two keys for each user: `ctn-client`, the password, and
`ctn-client.conf`, `password: "..."` with the same, which the server reads:

```
set --
for user in client monitor orchestrator provision synthesizer worker-{code,docs,general,web}; do
  password=$(openssl rand -hex 20)
  set -- "$@" --from-literal=ctn-$user=$password --from-literal=ctn-$user.conf="password: \\"$password\\""
done
kubectl create secret generic nats-users --namespace agents "$@"
```

An existing server is signed on to with the passwords of such a secret (for its users, which the command
`python -m concertino.runtime.users` prints), or with `bus.credentialsSecret`: a credentials file, an NKey, a token, or a name
and a password, for all services or for each. Its TLS is `bus.tls`; that of this chart's server:

```yaml
bus: {tls: {caSecret: nats-tls}}                                      # its key ca.crt
nats: {config: {nats: {tls: {enabled: true, secretName: nats-tls}}}}  # for <release>-nats.<namespace>.svc
```

Through `kubectl port-forward` the server is 127.0.0.1, which its certificate does not name: clients there set
`CTN_NATS_TLS_NAME` to the name that it has, as the notes of the installation say (`helm get notes concertino`).

Lists of `nats` (`container.patch`, `podTemplate.patch`) hold what mounts the users: one of your own must hold it, too.
Without it the server does not start.

## Who reaches whom

Each pod reaches the cluster's DNS, the bus, and the API of the model at the addresses that Anthropic publishes; `web` and
`general` the public web as well. What stands inside your network is a rule of its own:

```yaml
model: {baseUrl: https://gateway.example.org}
networkPolicy:
  model: [{ipBlock: {cidr: 10.1.0.10/32}}]                            # the gateway, for all that ask a model
workers:
  code:
    egress:
      rules:                                                          # a git server
        - {to: [{ipBlock: {cidr: 10.1.0.20/32}}], ports: [{port: 443, protocol: TCP}]}
  web:
    env: [{name: CTN_ALLOW_NETWORKS, value: 10.2.0.0/16}]             # pages from your own network
    egress:
      rules:
        - {to: [{ipBlock: {cidr: 10.2.0.0/16}}], ports: [{port: 443, protocol: TCP}]}
```

## Values

What stands below `defaults` may also stand below `orchestrator`, `synthesizer` and each entry of `workers`, which has
`description`, and `sources` and `tools` for planners, too. (This page is written by `make docs`.)

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
    return name in {"nats", "workers"} or name.endswith((".resources", ".labels")) or name.startswith(("orchestrator", "synth"))


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
