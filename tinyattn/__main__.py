"""`python -m tinyattn`: what is installed and what it will use."""

from tinyattn import __version__
from tinyattn.kernels import available_backends, backend, get_num_threads, instruction_set

print(f"tinyattn {__version__}")
print(f"backend: {backend().name} (installed: {', '.join(available_backends())})")
print(f"instruction set: {instruction_set()}")
print(f"threads: {get_num_threads()}")
