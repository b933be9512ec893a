import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.address import MAX_HOPS, TrustedProxies, parse

ADDRESSES = st.ip_addresses()


def client(
    peer: Any, header: Any = "", networks: Any = ("127.0.0.0/8", "::1/128", "10.0.0.0/8")
) -> Any:
    found = TrustedProxies(networks).client_address(peer, header)
    return None if found is None else str(found)


def test_without_proxies_it_is_the_peer():
    assert client("203.0.113.9") == "203.0.113.9"


def test_an_untrusted_peer_is_not_believed():
    assert client("203.0.113.9", "198.51.100.1") == "203.0.113.9"


def test_the_walk_from_the_right_skips_trusted_proxies():
    assert client("127.0.0.1", "6.6.6.6, 198.51.100.1, 10.1.2.3") == "198.51.100.1"


def test_only_loopback_is_trusted_by_default():
    proxies = TrustedProxies()
    assert str(proxies.client_address("127.0.0.1", "198.51.100.1")) == "198.51.100.1"
    assert str(proxies.client_address("10.0.0.1", "198.51.100.1")) == "10.0.0.1"


def test_all_trusted_gives_the_farthest():
    assert client("127.0.0.1", "10.0.0.1, 10.0.0.2") == "10.0.0.1"


def test_a_hop_that_is_no_address_ends_the_walk():
    assert client("127.0.0.1", "198.51.100.1, unknown, 10.0.0.2") == "10.0.0.2"


def test_a_header_without_end_is_not_walked_to_its_end():
    assert client("127.0.0.1", "198.51.100.1," + "10.0.0.1," * MAX_HOPS + "10.0.0.2") == "10.0.0.1"


def test_an_unknown_peer_has_no_address():
    assert client(None, "198.51.100.1") is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" 198.51.100.1:443 ", "198.51.100.1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
    ],
)
def test_the_forms_that_proxies_write(text, address):
    assert parse(text) == ipaddress.ip_address(address)


@pytest.mark.parametrize("text", ["", "unknown", "_hidden", "1.2.3", "1.2.3.4.5", "[", "::1::"])
def test_what_is_no_address(text):
    assert parse(text) is None


@given(st.text(max_size=40), st.text(max_size=80))
def test_no_header_makes_it_fail(peer, header):
    client(peer, header)


@given(ADDRESSES, st.lists(ADDRESSES, max_size=5))
def test_what_an_untrusted_client_writes_changes_nothing(address, lies):
    """The last hop was added by our proxy; the rest of the header came from outside."""
    proxies = TrustedProxies()
    if address.is_loopback or getattr(address, "ipv4_mapped", None):
        return
    header = ", ".join(str(a) for a in [*lies, address])
    assert proxies.client_address("127.0.0.1", header) == address
