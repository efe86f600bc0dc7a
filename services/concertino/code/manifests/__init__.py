"""Dependency manifests of five ecosystems: what a project says it needs, and where it says so."""

from concertino.code.manifests.declared import Declared
from concertino.code.manifests.parse import MOST_DECLARED, is_manifest, is_metadata, is_vendored, parse

__all__ = ["MOST_DECLARED", "Declared", "is_manifest", "is_metadata", "is_vendored", "parse"]
