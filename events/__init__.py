"""The contract: what an event is, how it is checked and enriched, and how it travels."""
