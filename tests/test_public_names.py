"""The list of public names, `tinyattn.__all__`: complete, without doubles, and importable."""

import types

import tinyattn as ta


def test_every_public_name_is_listed_once():
    assert len(ta.__all__) == len(set(ta.__all__))
    public = {
        name
        for name, value in vars(ta).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    modules = {
        "accelerator",
        "amp",
        "autograd",
        "backends",
        "cuda",
        "distributed",
        "distributions",
        "nn",
        "optim",
        "parallel",
    }
    modules |= {"quantization", "utils"}
    assert public | modules == set(ta.__all__)


def test_a_star_import_gives_every_name():
    names = {}
    exec("from tinyattn import *", names)  # as a reader would
    assert set(ta.__all__) <= names.keys()
    assert names["randn"] is ta.randn


def test_the_names_say_what_they_are():
    for name in ta.__all__:
        value = getattr(ta, name)
        if isinstance(value, types.FunctionType):
            assert value.__doc__, name
            assert "return" in value.__annotations__, name
            assert value.__name__ == name
