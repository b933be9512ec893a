from dataclasses import fields

from stores.clickhouse_client import WRITE_SECONDS
from stores.clickhouse_tables import MARGIN, Options, migrations, settings
from stores.pane import GROUPING_SETS, mask


def test_every_grouping_set_has_a_mask_of_its_own() -> None:
    assert sorted(mask(grouping) for grouping in GROUPING_SETS) == list(range(8))
    assert mask(("country", "category")) == 0b101


def test_migrations_are_numbered_and_may_run_again() -> None:
    known = migrations("archive", Options())
    assert [version for version, _, _ in known] == list(range(1, len(known) + 1))
    for _, _, statements in known:
        for statement in statements:
            assert " IF NOT EXISTS archive." in statement
            assert "streamlens" not in statement


def test_an_insert_ends_within_the_margin_of_the_views() -> None:
    assert 2 * WRITE_SECONDS <= MARGIN


def test_retention_of_0_days_is_for_ever() -> None:
    never = Options(**{f.name: 0 for f in fields(Options)})
    assert not any("INTERVAL" in each for each in settings("d", never))
    assert any(
        "rollup_1m MODIFY TTL minute + INTERVAL 7 DAY" in each
        for each in settings("d", Options(minute_days=7))
    )
