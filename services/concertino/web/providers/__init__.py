"""Search engines of the installation, behind one port: ``CTN_SEARCH`` names one."""

from concertino.web.providers.choice import provider
from concertino.web.providers.port import Hit, Provider

__all__ = ["Hit", "Provider", "provider"]
