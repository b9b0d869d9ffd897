"""Numbers in another type, as NumPy casts them: its loops are compiled, too."""

from tinyattn.kernels.reference.convert import convert as convert
