"""Which network addresses a document may come from: private ones are fine, those of the machine's own metadata are not."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_METADATA = frozenset({ip_address("100.100.100.200"), ip_address("fd00:ec2::254"), ip_address("fd20:ce::254")})
"""Where clouds answer with credentials outside of the link-local ranges (Alibaba, AWS and Google over IPv6)."""

_CARRIES_V4 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"), IPv6Network("::/96"))
"""NAT64 and IPv4-compatible addresses: the last 32 bits are an IPv4 address."""


def is_refused(address: str) -> bool:
    """Whether ``address`` is link-local (169.254.0.0/16, fe80::/10), a metadata service, or another spelling of one."""
    return any(a.is_link_local or a in _METADATA for a in _meanings(ip_address(address.partition("%")[0])))


def _meanings(address: Address) -> list[Address]:
    """``address``, and the IPv4 addresses that it may be a wrapping of."""
    meanings: list[Address] = [address]
    if isinstance(address, IPv6Address):
        meanings += [inner for inner in (address.ipv4_mapped, address.sixtofour) if inner]
        if any(address in network for network in _CARRIES_V4):
            meanings.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return meanings
