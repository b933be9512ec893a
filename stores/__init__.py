"""One room per store, reading and writing its own layout. Knows nothing of Beam or Flask."""
