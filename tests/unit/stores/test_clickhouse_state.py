import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import sketch
from events.sketch import REGISTERS, Entries
from stores.clickhouse_state import from_state, to_state


def entries_of(registers: dict[int, int]) -> Entries:
    return np.array([r << 6 | rank for r, rank in sorted(registers.items())], np.uint32)


sketches = st.one_of(
    st.dictionaries(st.integers(0, REGISTERS - 1), st.integers(1, 51), max_size=40),
    st.integers(0, 2**32 - 1).map(
        lambda seed: {
            int(register): int(rank)
            for register, rank in zip(
                np.random.default_rng(seed).choice(REGISTERS, 1 + seed % 1_500, replace=False),
                np.random.default_rng(seed).integers(1, 51, 1 + seed % 1_500),
                strict=True,
            )
        }
    ),
).map(entries_of)


@given(sketches)
def test_round_trip(entries: Entries) -> None:
    assert from_state(to_state(entries)).tolist() == entries.tolist()


@pytest.mark.parametrize(
    ("users", "form", "size"),
    [(0, 1, 2), (16, 1, 130), (17, 2, 138), (127, 2, 1018), (128, 2, 1027), (512, 2, 4099)],
)
def test_small_sketches_are_eight_bytes_a_register(users: int, form: int, size: int) -> None:
    state = to_state(entries_of({register: 1 + register % 50 for register in range(users)}))
    assert (state[0], len(state)) == (form, size)


@pytest.mark.parametrize("registers", [{7: 51}, dict.fromkeys(range(513), 1)])
def test_others_are_large(registers: dict[int, int]) -> None:
    state = to_state(entries_of(registers))
    assert (state[0], len(state)) == (3, 12_499)
    assert from_state(state).tolist() == entries_of(registers).tolist()


def test_hashes_of_users_are_read_as_their_registers() -> None:
    hashes = np.array([sketch.user_hash(f"u{i}") for i in range(300)], "<u8")
    state = bytes((2, 300 & 127 | 128, 300 >> 7)) + hashes.tobytes()
    assert from_state(state).tolist() == sketch.from_hashes(hashes).tolist()


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"\x01",
        b"\x00\x00",
        b"\x04\x00",
        b"\x01\x01",
        b"\x02\x80",
        b"\x02\x80\x80\x01",
        b"\x03",
    ],
)
def test_other_bytes_are_refused(state: bytes) -> None:
    with pytest.raises(ValueError, match="state of uniqCombined64"):
        from_state(state)
