"""Which network addresses a document may come from: public ones, and private ones that the installation names."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from concertino.contracts.errors import BadSetting

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Networks = Sequence[Network]

_NEVER: Networks = tuple(
    ip_network(network)
    for network in (
        *("169.254.0.0/16", "fe80::/10"),  # link-local, where most clouds answer with credentials
        *("100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"),  # Alibaba, Azure, Oracle
        *("fd00:ec2::/32", "fd20:ce::254/128"),  # AWS, Google
    )
)
_NOT_PUBLIC: Networks = tuple(
    ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24"),
        *("192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
        *("::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16"),
        *("fc00::/7", "fec0::/10", "ff00::/8"),
    )
)
"""IANA's registries of special purposes: the standard library's ``is_global`` lacks some of them, and counts multicast in."""

_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = IPv6Network("::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)


def networks(text: str) -> Networks:
    """``10.1.0.0/16,fd00::/8`` as networks. :class:`BadSetting` names what is none."""
    found: list[Network] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.append(ip_network(part))
        except ValueError as e:
            raise BadSetting(f"CTN_ALLOW_NETWORKS: {part!r} is no network such as 10.1.0.0/16 ({e})") from e
    return tuple(found)


def refusal(address: str, allowed: Networks = ()) -> str:
    """Why nothing is read from ``address``, in a few words; empty where it may be.

    Link-local and metadata addresses never may, other special ones if ``allowed`` holds them; whatever wraps an IPv4 address
    is as good as that is.
    """
    meanings = _meanings(ip_address(address.partition("%")[0]))
    if any(_within(meaning, _NEVER) for meaning in meanings):
        return "a link-local or metadata address: nothing is read from there"
    if any(_within(meaning, _NOT_PUBLIC) and not _within(meaning, allowed) for meaning in meanings):
        return "no public address: CTN_ALLOW_NETWORKS can name networks that may be read"
    return ""


def _within(address: Address, among: Networks) -> bool:
    return any(address in network for network in among if network.version == address.version)


def _meanings(address: Address) -> list[Address]:
    """What ``address`` stands for: itself, an IPv4 address, or both."""
    if isinstance(address, IPv4Address):
        return [address]
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _MAPPED or address in _NAT64:
        return [last]
    meanings: list[Address] = [address]
    if address in _LOCAL_NAT64 or (address in _COMPATIBLE and int(address) > 1):
        meanings.append(last)
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        meanings.append(last)
    meanings += [inner for inner in (address.sixtofour, *(address.teredo or ())) if inner]
    return meanings
