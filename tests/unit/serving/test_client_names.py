"""Names of clients: stable, apart, and not the address."""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from events.address import parse
from serving.client_names import UNKNOWN, client_names

V4 = st.ip_addresses(v=4)
V6 = st.ip_addresses(v=6)


@given(V4, V4)
def test_an_ipv4_client_is_one_address(one, other):
    name = client_names("redis://x")
    assert (name(one) == name(other)) is (one == other)
    assert len(name(one)) == 16
    assert str(one) not in name(one)
    assert one.packed.hex() not in name(one)


@given(V6, V6)
def test_an_ipv6_client_is_a_network_of_64_bits(one, other):
    name = client_names("redis://x")
    assert (name(one) == name(other)) is (one.packed[:8] == other.packed[:8])
    assert name(one) == name(ip_address(one.packed[:8] + bytes(8)))


@given(V4, st.text(min_size=1), st.text(min_size=1))
def test_only_who_has_the_secret_can_say_the_name(address, secret, other):
    assert client_names(secret)(address) == client_names(secret)(address)
    assert (client_names(secret)(address) == client_names(other)(address)) is (secret == other)


def test_mapped_addresses_are_the_ipv4_client_and_none_is_one_client():
    name = client_names("redis://x")
    assert name(parse("::ffff:192.0.2.1")) == name(parse("192.0.2.1"))
    assert name(None) == UNKNOWN
