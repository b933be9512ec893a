import uuid

from hypothesis import given
from hypothesis import strategies as st

from events.dedup import NEVER, batch_key, event_key

NAMES = st.text(min_size=1, max_size=20)


@given(NAMES, NAMES)
def test_a_batch_has_an_odd_key(project, batch_id):
    key = batch_key(project, batch_id)
    assert key % 2 == 1
    assert key < 2**64
    assert key == batch_key(project, batch_id)


@given(NAMES, st.uuids())
def test_an_event_has_an_even_key_that_is_not_zero(project, event_id):
    key = event_key(project, event_id)
    assert key % 2 == 0
    assert NEVER < key < 2**64


def test_projects_have_keys_of_their_own():
    assert batch_key("a", "1") != batch_key("b", "1")
    assert event_key("a", uuid.UUID(int=1)) != event_key("b", uuid.UUID(int=1))
