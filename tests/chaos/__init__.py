"""Kill tests: the real product under traffic, one part killed or frozen per round, all numbers
compared with the sender's own record. `python -m tests.chaos --help`.
"""
