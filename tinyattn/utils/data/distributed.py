"""DistributedSampler of `tinyattn.parallel`, where programs import it from."""

from tinyattn.parallel.sampler import DistributedSampler

__all__ = ["DistributedSampler"]
