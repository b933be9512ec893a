"""What a load of `benchmarks.end_to_end` says: was it kept up with, and what took how long."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from benchmarks import report
from benchmarks.curves import Curve, cumulated, waits
from benchmarks.sender import Rows, Sent

REACHED: Final = 0.95  # of the wanted rate, to have kept up with it


def judge(sent: Rows, stored: Curve, grace: float, wanted: float | None) -> dict[str, Any]:
    """How fast it was, and whether the store kept up. `stored` without what was there before."""
    events = int(sent.events.sum())
    first, last = float(sent.at.min()), float(sent.acked.max())
    rate = events / max(last - first, 1e-9)
    after = float(stored.at[-1]) - last
    by_then = int(np.append(0, stored.events)[np.searchsorted(stored.at, last)])
    return {
        "events": events,
        "events_per_second": round(rate),
        "stored_per_second": round(events / max(float(stored.at[-1]) - first, 1e-9)),
        "behind_at_end": events - by_then,
        "stored_after_s": round(after, 2),
        "kept_up": stored.total == events
        and after <= grace
        and (wanted is None or rate > REACHED * wanted),
    }


def stages(
    sent: Sent, stored: Curve, shown: Sequence[Curve], probed: Curve
) -> dict[str, dict[str, float]]:
    """Percentiles of each wait; those to the screens are of all screens of the total together."""
    everything = sent.all
    went = cumulated(everything.at, everything.events)
    acked = cumulated(everything.acked, everything.events)
    found = {
        "acked_s": sent.load.acked - sent.load.at,  # requests are of one size
        "stored_s": waits(acked, stored),
        "shown_s": np.concatenate([waits(stored, one) for one in shown]),
        "screen_s": np.concatenate([waits(went, one) for one in shown]),
        "acked_to_screen_s": np.concatenate([waits(acked, one) for one in shown]),
        "probe_s": waits(cumulated(sent.probes.at, sent.probes.events), probed),
    }
    return {name: report.percentiles(values.tolist()) for name, values in found.items()}
