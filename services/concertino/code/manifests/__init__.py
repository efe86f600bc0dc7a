"""Dependency manifests of five ecosystems: what a project says it needs, and where it says so."""

from concertino.code.manifests.declared import Declared
from concertino.code.manifests.parse import is_manifest, parse

__all__ = ["Declared", "is_manifest", "parse"]
