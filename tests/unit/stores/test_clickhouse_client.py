import pytest

from deploy.ports import free_port
from stores.clickhouse import ClickHouseStore
from stores.clickhouse_client import Address
from stores.contract import Slice, StoreUnavailable
from stores.pane import FINAL
from tests.integration.store_contract import pane


def test_a_url_says_it_all() -> None:
    found = Address.parse("clickhouses://a%40b:p%2Fw@history.example:9443/archive")
    assert found == Address("history.example", 9443, "a@b", "p/w", "archive", True)
    assert str(found) == "history.example:9443/archive"


def test_what_a_url_leaves_out() -> None:
    assert Address.parse("clickhouse://h") == Address("h", 8123, "default", "", "streamlens", False)
    assert Address.parse("clickhouses://h/x").port == 8443


@pytest.mark.parametrize(
    "url",
    [
        "http://h:8123/db",
        "clickhouse:///db",
        "clickhouse://h/a.b",
        "clickhouse://h/a%20b",
        "clickhouse://h/db?secure=1",
        "clickhouse://h:port/db",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        ClickHouseStore.from_url(url)


def test_nobody_listens() -> None:
    store = ClickHouseStore(f"clickhouse://u:secret@127.0.0.1:{free_port()}/db")
    for work in (
        lambda: store.counts(Slice("p", (), (0, 60))),
        lambda: store.users(Slice("p", (), (0, 60))),
        lambda: store.completeness("p", (0, 60)),
        lambda: store.write([pane(0, 1, project="p", status=FINAL)]),
    ):
        with pytest.raises(StoreUnavailable) as caught:
            work()
        assert "\n" not in caught.value.args[0]
        assert "secret" not in caught.value.args[0]
    store.close()
