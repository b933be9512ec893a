import socket

from deploy import ports


def test_a_free_port_is_free_until_something_listens_there() -> None:
    port = ports.free_port()
    assert ports.is_free(port)
    assert not ports.accepts(port)
    with socket.create_server((ports.HOST, port)):
        assert not ports.is_free(port)
        assert ports.accepts(port)


def test_a_listener_on_all_addresses_counts_as_busy() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not ports.is_free(server.getsockname()[1])
