"""What the programs say about themselves: metrics and logs. Everything may import this package;
it knows `events` and nothing else of ours.
"""
