from __future__ import annotations

import pytest

from concertino.contracts.errors import BadSetting
from concertino.documents.addresses import networks, refusal

EVERYTHING = networks("0.0.0.0/0, ::/0")


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.0.1", "169.254.169.254", "169.254.170.2", "fe80::1%eth0", "febf::1"),
        *("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "::169.254.169.254"),
        *("2001:db8::5efe:a9fe:a9fe", "2001:0:4136:e378:8000:63bf:5601:5601"),
        *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    ],
)
def test_link_local_and_metadata_are_refused_in_every_spelling_whatever_is_allowed(address: str) -> None:
    assert "link-local or metadata" in refusal(address, EVERYTHING)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.7", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"),
        *("198.18.0.1", "192.0.2.1", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fd00::1", "fec0::1", "ff02::1", "2001:db8::1", "100::1", "5f00::1", "3fff::1"),
        *("::ffff:127.0.0.1", "::ffff:a00:1", "64:ff9b::7f00:1", "64:ff9b:1::808:808", "2002:7f00:1::", "::127.0.0.1"),
        *("2606:4700::5efe:a00:1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
    ],
)
def test_what_is_not_public_is_refused_unless_it_is_named(address: str) -> None:
    assert "no public address" in refusal(address)
    assert not refusal(address, EVERYTHING)


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:2800:220::1", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_public_addresses_are_fine(address: str) -> None:
    assert not refusal(address)


def test_a_named_network_is_no_more_than_that() -> None:
    allowed = networks(" 10.1.0.0/16,127.0.0.1 ,fd12::/16,")
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "127.0.0.1", "fd12::5"):
        assert not refusal(address, allowed)
    for address in ("10.2.0.1", "127.0.0.2", "fd13::5", "::1", "169.254.169.254", "2001:db8::5efe:a01:203"):
        assert refusal(address, allowed)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "localhost", "10.0.0.0/33", "10.0.0.0-10.0.0.9"])
def test_what_is_no_network_is_named(text: str) -> None:
    with pytest.raises(BadSetting, match=f"CTN_ALLOW_NETWORKS: '{text}'"):
        networks(f"127.0.0.0/8,{text}")
