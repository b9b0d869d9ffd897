"""Names of programs that copy a model: to several processes, DistributedDataParallel of
`tinyattn.parallel`; to several GPUs, DataParallel, which calls the model itself.
"""

from tinyattn.nn.containers import DataParallel
from tinyattn.parallel.model import DistributedDataParallel

__all__ = ["DataParallel", "DistributedDataParallel"]
