"""What all tests share: Hypothesis without deadlines, which a loaded machine would miss."""

from hypothesis import HealthCheck, settings

settings.register_profile("tinyattn", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tinyattn")
