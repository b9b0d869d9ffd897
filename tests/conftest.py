"""What all tests share: Hypothesis without deadlines, which a loaded machine would miss, and with
the same examples every time. `pytest --hypothesis-profile search` looks for others."""

from hypothesis import HealthCheck, settings

shared = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("tinyattn", derandomize=True, **shared)
settings.register_profile("search", **shared)
settings.load_profile("tinyattn")
