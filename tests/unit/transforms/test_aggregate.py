from collections import Counter, defaultdict
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from events import sketch
from stores.pane import DIMENSIONS, GROUPING_SETS, MEASURES, SKETCHED, Grouping
from tests.unit.transforms.cubes import MINUTE, record, rows
from transforms import decode
from transforms.aggregate import Cells
from transforms.cube import UNIT

records = st.builds(
    record,
    type=st.sampled_from(["page_view", "click", "purchase", "error", "signup"]),
    user_id=st.sampled_from([f"u{i}" for i in range(9)]),
    ts=st.integers(MINUTE * 1000 - 90_000, MINUTE * 1000 + 90_000),
    category=st.sampled_from([None, "shoes", "hats", "a\x1fb"]),
    country=st.sampled_from(["US", "DE", "ZZ"]),
    device=st.sampled_from(["desktop", "mobile"]),
    bot=st.booleans(),
    amount=st.sampled_from([None, Decimal("1.25"), Decimal("0.000001")]),
)


def _truth(
    items: list[decode.Record], grouping: Grouping, width: int
) -> tuple[dict[tuple[int, str], Counter[str]], dict[tuple[int, str], set[str]]]:
    """The same numbers, one event at a time."""
    counts: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    users: dict[tuple[int, str], set[str]] = defaultdict(set)
    for r in items:
        values = {
            "country": r.country,
            "device": "bot" if r.bot else r.device,
            "category": (r.category or "").replace("\x1f", " "),
        }
        where = (r.ts // 1000 // width * width, UNIT.join(values[d] for d in grouping))
        counts[where]["rows"] += 1
        if r.bot:
            counts[where]["bots"] += 1
            continue
        users[where].add(r.user_id)
        name = {"page_view": "page_views", "click": "clicks", "purchase": "purchases"}.get(
            r.type, "errors" if r.type == "error" else "custom"
        )
        counts[where][name] += 1
        if r.type == "purchase" and r.amount is not None:
            counts[where]["revenue_micros"] += int(r.amount * 1_000_000)
    return counts, users


@given(st.lists(records, min_size=1, max_size=40))
def test_minute_cubes_equal_a_count_of_one_event_at_a_time(items: list[decode.Record]) -> None:
    found: dict[Grouping, int] = Counter()
    for part in Cells(rows(*items)).minutes():
        counts, users = _truth(items, part.grouping, 60)
        sketches = sketch.split(part.cube.users.entries, len(part.cube.names))
        for name, row, entries in zip(
            part.cube.names, part.cube.measures.tolist(), sketches, strict=True
        ):
            where = (part.start, name)
            assert dict(zip(MEASURES, row, strict=True)) == {m: counts[where][m] for m in MEASURES}
            expected = len(users[where]) if part.grouping in SKETCHED else 0
            assert sketch.estimate(entries) == expected
            found[part.grouping] += row[0]
    assert found == dict.fromkeys(GROUPING_SETS, len(items))


@given(st.lists(records, min_size=1, max_size=40))
def test_pulse_cubes_count_every_ten_seconds(items: list[decode.Record]) -> None:
    parts = [p for p in Cells(rows(*items)).pulses() if p.grouping == ("country",)]
    counts, _ = _truth(items, ("country",), 10)
    found = {
        (p.start, name): count
        for p in parts
        for name, count in zip(p.cube.names, p.cube.measures[:, 0].tolist(), strict=True)
    }
    assert found == {where: c["rows"] for where, c in counts.items()}


def test_cap_keeps_the_largest_and_counts_the_rest() -> None:
    items = [record(category=f"c{i}") for i in range(5)] + [record(category="big")] * 3
    parts = {p.grouping: p.cube for p in Cells(rows(*items)).minutes(cap=2)}
    assert parts["category",].names[0] == "big"
    assert parts["category",].rows + parts["category",].left_out == 8
    assert parts[()].rows == 8
    assert len(DIMENSIONS) == 3


def test_all_groupings_come_out_even_for_one_row() -> None:
    assert {p.grouping for p in Cells(rows(record())).minutes()} == set(GROUPING_SETS)
