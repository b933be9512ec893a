import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from events import sketch
from transforms.unique import ApproximateUnique, EntriesCoder, HyperLogLogFn


@given(st.lists(st.text(min_size=1, max_size=5), max_size=60), st.integers(0, 60))
def test_split_work_gives_the_same_bytes(users: list[str], cut: int) -> None:
    fn, coder = HyperLogLogFn(), EntriesCoder()
    whole = fn.add_inputs(fn.create_accumulator(), users)
    left = fn.create_accumulator()
    for user in users[:cut]:
        left = fn.add_input(left, user)
    right = coder.decode(coder.encode(fn.add_inputs(fn.create_accumulator(), users[cut:])))
    assert coder.encode(fn.merge_accumulators([right, left])) == coder.encode(whole)
    assert sketch.estimate(whole) == pytest.approx(len(set(users)), abs=1)


def test_distinct_users_per_key() -> None:
    options = beam.options.pipeline_options.PipelineOptions(["--runner=FnApiRunner"])
    with beam.Pipeline(options=options) as pipeline:
        visits = [("home", f"u{i % 50}") for i in range(200)] + [("shop", "u1")]
        counts = pipeline | beam.Create(visits) | ApproximateUnique()
        assert_that(counts, equal_to([("home", 50), ("shop", 1)]))
