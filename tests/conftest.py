"""What holds for all tests. Time is measured by benchmarks, so no example has a time limit."""

from hypothesis import HealthCheck, settings

settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")
