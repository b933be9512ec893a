"""Hostile input on purpose: mutators, a corpus, and targets that say which invariant broke.

`python -m tests.fuzz --target collector --count 1000000 --seed 1` runs by hand; short seeded runs
are part of the suite. Case n of a seed is the same whatever ran before it, so a finding is
reproduced by its seed and index alone.
"""
