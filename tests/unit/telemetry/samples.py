"""Reading metrics back, as a scrape would."""

from telemetry.meters import Program


def value(program: Program, name: str, **labels: str) -> float:
    """The sample of `streamlens_<program>_<name>`; 0 where there is none yet."""
    found = program.registry.get_sample_value(f"streamlens_{program.name}_{name}", labels)
    return found or 0.0
