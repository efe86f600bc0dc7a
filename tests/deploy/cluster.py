"""As much of a Kubernetes API server as Helm needs: it keeps objects, and refuses to change what Kubernetes never changes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import helm_python as helm
import yaml

Object = dict[str, Any]

_RESOURCES = {
    "v1": {
        "secrets": "Secret",
        "configmaps": "ConfigMap",
        "services": "Service",
        "serviceaccounts": "ServiceAccount",
        "pods": "Pod",
    },
    "apps/v1": {"deployments": "Deployment", "statefulsets": "StatefulSet"},
    "batch/v1": {"jobs": "Job"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "keda.sh/v1alpha1": {"scaledobjects": "ScaledObject"},
}
_NEVER_CHANGED = {
    "Deployment": ("selector",),
    "StatefulSet": ("selector", "serviceName", "volumeClaimTemplates", "podManagementPolicy"),
    "Job": ("template", "selector", "completions"),
}


class Cluster(ThreadingHTTPServer):
    """``objects`` by path. Use :func:`cluster`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Api)
        self.objects: dict[str, Object] = {}

    def of(self, kind: str) -> dict[str, Object]:
        """Objects of a kind, by name."""
        return {o["metadata"]["name"]: o for o in self.objects.values() if o["kind"] == kind}

    def helm(self) -> helm.Config:
        """Helm, for the namespace ``prod``. It remembers the releases that it made."""
        context = {"cluster": "here", "user": "me", "namespace": "prod"}
        return helm.Config(
            namespace="prod",
            storage_driver="memory",
            kubeconfig_content=yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{self.server_port}"}}],
                    "users": [{"name": "me", "user": {}}],
                    "contexts": [{"name": "here", "context": context}],
                    "current-context": "here",
                }
            ),
        )


@contextmanager
def cluster() -> Iterator[Cluster]:
    """An empty one, on loopback."""
    with Cluster() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


class _Api(BaseHTTPRequestHandler):
    server: Cluster

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/openapi/v2":  # an empty document: Helm validates nothing, other tests do
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
            self.end_headers()
        elif (found := self._discovered(path) or self.server.objects.get(path)) is not None:
            self._answer(HTTPStatus.OK, found)
        elif path.rpartition("/")[2] in {name for names in _RESOURCES.values() for name in names}:
            items = [o for at, o in self.server.objects.items() if at.rpartition("/")[0] == path]
            self._answer(
                HTTPStatus.OK, {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}
            )
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "NotFound", f"there is no {path}")

    def do_POST(self) -> None:
        said = self._body()
        path = f"{self.path.partition('?')[0]}/{said['metadata']['name']}"
        self._store(path, said, HTTPStatus.CREATED)

    def do_PUT(self) -> None:
        self._store(self.path.partition("?")[0], self._body(), HTTPStatus.OK)

    def do_PATCH(self) -> None:
        assert "apply-patch" in self.headers["Content-Type"], "Helm applies on the server"
        self.do_PUT()

    def do_DELETE(self) -> None:
        self.server.objects.pop(self.path.partition("?")[0], None)
        self._answer(HTTPStatus.OK, {"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def _store(self, path: str, said: Object, status: HTTPStatus) -> None:
        before = self.server.objects.get(path)
        for field in _NEVER_CHANGED.get(said["kind"], ()) if before else ():
            if before["spec"].get(field) != said["spec"].get(field):  # type: ignore[index]
                self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", f"{path}: spec.{field}: field is immutable")
                return
        said["metadata"]["resourceVersion"] = str(len(self.server.objects) + 1)
        self.server.objects[path] = said
        self._answer(status, said)

    def _body(self) -> Object:
        found: Object = yaml.safe_load(self.rfile.read(int(self.headers["Content-Length"])))
        found["metadata"].setdefault("namespace", "prod")
        return found

    @staticmethod
    def _discovered(path: str) -> Object | None:
        groups = [name for name in _RESOURCES if "/" in name]
        if path == "/version":
            return {"major": "1", "minor": "35", "gitVersion": "v1.35.0"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            versions = {name: {"groupVersion": name, "version": name.partition("/")[2]} for name in groups}
            named = [{"name": n.partition("/")[0], "versions": [v], "preferredVersion": v} for n, v in versions.items()]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": named}
        if path == "/openapi/v3":
            return {"paths": {}}
        for name, resources in _RESOURCES.items():
            if path == (f"/apis/{name}" if "/" in name else f"/api/{name}"):
                verbs = ["create", "delete", "get", "list", "patch", "update"]
                listed = [{"name": n, "namespaced": True, "kind": kind, "verbs": verbs} for n, kind in resources.items()]
                return {"kind": "APIResourceList", "groupVersion": name, "resources": listed}
        return None

    def _refuse(self, status: HTTPStatus, reason: str, message: str) -> None:
        said = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": status, "message": message}
        self._answer(status, said)

    def _answer(self, status: HTTPStatus, said: Object) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base class's name)
        """What was asked is not for the terminal."""
