"""A real Docker engine: images of this tree on a base that can be had here, and containers as strict as a cluster's."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import ImageNotFound

from concertino.runtime.nats_server import nats_server_binary

# Its helper that removes containers of a killed run is an image of its own, which may not be within reach.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

ROOT = Path(__file__).parents[2]
TAG = "tested"
NATS = "concertino-stand-in-nats:tested"
STRICT: dict[str, Any] = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "mem_limit": "512m",
    "pids_limit": 256,
    "tmpfs": {"/tmp": "size=256m", "/cache": "size=256m,uid=10001,gid=10001,mode=0700"},
}
"""As the chart runs them."""

_STEP_WITHIN = 590
_BASE_OF_ITS_OWN = "CONCERTINO_BASE"


@functools.cache
def missing() -> str:
    """Why no image can be built and run here; empty where it can."""
    if shutil.which("docker") is None:
        return "needs the program docker"
    # The library leaves its socket open where nobody answers.
    asked = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, timeout=60, check=False
    )
    if asked.returncode:
        return f"needs a Docker engine, and none answers: {asked.stderr.strip()}"
    if os.environ.get(_BASE_OF_ITS_OWN):
        return ""
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        return f"needs a base image: name one in {_BASE_OF_ITS_OWN}, or run as root with debootstrap installed"
    return ""


@functools.cache
def base() -> str:
    """The base image: the one that is named, or one of Debian's packages, made once for as long as its recipe stays."""
    if named := os.environ.get(_BASE_OF_ITS_OWN):
        return named
    recipe = ROOT / "deploy" / "base.sh"
    tag = f"concertino-stand-in-base:{hashlib.sha256(recipe.read_bytes()).hexdigest()[:12]}"
    try:
        docker.from_env().images.get(tag)
    except ImageNotFound:
        run([str(recipe), tag])
    return tag


@functools.cache
def built(service: str) -> str:
    """The image of ``service`` as this tree stands, made by ``make images``."""
    run(["make", f"image-{service}", f"TAG={TAG}", f"BASE={base()}"])
    return f"concertino-{service}:{TAG}"


def run(command: list[str], env: Mapping[str, str] | None = None, folder: Path = ROOT) -> str:
    """What ``command`` prints. Where it fails, the test does, with what it said."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PWD": str(folder), **(env or {})},
        capture_output=True,
        text=True,
        timeout=_STEP_WITHIN,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def build(tag: str, folder: Path, *arguments: str) -> str:
    """An image out of the Dockerfile in ``folder``."""
    run(["docker", "build", "--quiet", "--tag", tag, *arguments, "."], folder=folder)
    return tag


@functools.cache
def nats_image() -> str:
    """The real server, in an image that has what the official one has and is used here: the server, and wget."""
    folder = ROOT / ".pytest_cache" / "stand-in-nats"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(nats_server_binary(), folder / "nats-server")
    (folder / "Dockerfile").write_text(
        "ARG BASE\nFROM ${BASE}\n"
        "RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends wget >/dev/null\n"
        'COPY nats-server /usr/local/bin/\nENTRYPOINT ["nats-server"]\n'
    )
    return build(NATS, folder, "--build-arg", f"BASE={base()}")


@contextmanager
def container(
    image: str, network: Network, name: str, *command: str, env: Mapping[str, str] | None = None, sources: Path | None = None
) -> Iterator[DockerContainer]:
    """``image`` at work as ``name``, with ``sources`` at ``/sources``. What it logged is printed."""
    strict = dict(STRICT)
    one = DockerContainer(image, command=list(command) or None, env=dict(env or {}), network=network, network_aliases=[name])
    for path, options in strict.pop("tmpfs").items():
        one.with_tmpfs_mount(path, options)
    if sources:
        one.with_volume_mapping(sources, "/sources", "ro")
    with one.with_kwargs(**strict):
        try:
            yield one
        finally:
            print(f"--- {name} ---", *(part.decode(errors="replace") for part in one.get_logs()), sep="\n")


def health(one: DockerContainer) -> str:
    inside = one.get_wrapped_container()
    inside.reload()
    return str(inside.attrs["State"]["Health"]["Status"])


def address(one: DockerContainer) -> str:
    """Its address on the one network that it is on."""
    inside = one.get_wrapped_container()
    inside.reload()
    [network] = inside.attrs["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])


async def healthy(*containers: DockerContainer) -> None:
    """Return when each says that it can take work."""
    async with asyncio.timeout(60):
        while not all(health(one) == "healthy" for one in containers):
            await asyncio.sleep(0.3)
