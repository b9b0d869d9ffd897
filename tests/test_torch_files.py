"""PyTorch's file format: what each of the two libraries writes, the other reads; nothing is
executed, and a file that is cut, altered or hostile is an error."""

import io
import os
import pickle
import pickletools
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinyattn as ta
import tinyattn.nn as nn
from tests.test_serialization import leaves, same
from tinyattn import _torch_files

try:
    import torch
except ImportError:
    torch = None
needs_torch = pytest.mark.skipif(torch is None, reason="torch is not installed")

keys = st.one_of(st.text(max_size=3), st.integers(), st.booleans(), st.binary(max_size=3))
leaves = st.one_of(leaves, st.binary(max_size=4), st.sampled_from([ta.uint8, ta.float32]))
objects = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=3),
        st.dictionaries(keys, inner, max_size=3).map(OrderedDict),
        st.sets(st.integers(), max_size=3),
    ),
    max_leaves=12,
)


def written(obj, library=ta):
    file = io.BytesIO()
    library.save(obj, file)
    return file.getvalue()


def loaded(content, **options):
    return ta.load(io.BytesIO(content), **options)


def in_torch(content):
    return torch.load(io.BytesIO(content), weights_only=True)


def plain(x):
    """Tensors of both libraries as (dtype, values)."""
    if hasattr(x, "tolist"):
        return str(x.dtype).removeprefix("torch."), list(x.shape), repr(x.tolist())
    if isinstance(x, dict):
        return type(x), [(k, plain(v)) for k, v in x.items()]
    if isinstance(x, (list, tuple)):
        return type(x), [plain(v) for v in x]
    if isinstance(x, set):
        return set, sorted(x)
    return repr(x).removeprefix("torch.").replace("dtype('", "").removesuffix("')")


@given(objects)
def test_any_nesting_comes_back(obj):
    assert same(loaded(written(obj)), obj)


@needs_torch
@given(objects)
def test_torch_reads_it_and_what_torch_writes_is_read(obj):
    theirs = in_torch(written(obj))
    assert plain(theirs) == plain(obj)
    assert same(loaded(written(theirs, torch)), obj)


@pytest.mark.parametrize(
    "suffix", [".pt", ".pth", ".bin", ".tar", ".pkl", "", ".chkpt", "_acc_0.93"]
)
def test_the_end_of_a_path_chooses_the_format(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    ta.save({0: ta.ones(2)}, path)
    assert zipfile.is_zipfile(path)
    assert ta.load(path)[0].tolist() == [1, 1]
    assert ta.load(str(path))[0].tolist() == [1, 1]
    with open(path, "rb") as file:
        assert ta.load(file)[0].tolist() == [1, 1]
    ta.save({"a": ta.ones(2)}, tmp_path / "model.safetensors")
    assert not zipfile.is_zipfile(tmp_path / "model.safetensors")
    with open(tmp_path / "model.safetensors", "rb") as file:
        assert ta.load(file)["a"].tolist() == [1, 1]
    assert {*os.listdir(tmp_path)} == {"model.safetensors", path.name}


LAYOUTS = {
    "row-major": lambda: ta.arange(6.0).view(2, 3),
    "transposed": lambda: ta.arange(6.0).view(2, 3).t(),
    "part": lambda: ta.arange(12.0).view(3, 4)[1:, 1:3],
    "every second": lambda: ta.arange(12.0)[1::2],
    "expanded": lambda: ta.arange(3.0).expand(2, 3),
    "reversed": lambda: ta.from_numpy(np.arange(6.0).reshape(2, 3)[::-1, ::-1]),
    "0-d": lambda: ta.tensor(2.5),
    "0-d part": lambda: ta.arange(4.0)[2],
    "empty": lambda: ta.zeros(2, 0, 3),
    "part without elements": lambda: ta.arange(4.0)[4:],
    "one column": lambda: ta.arange(6).view(2, 3)[:, 1:2],
    "of NumPy": lambda: ta.from_numpy(np.arange(8, dtype=np.int32)[2:5]),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name):
    x = LAYOUTS[name]()
    back = loaded(written({"x": x}))["x"]
    assert same(back, x)
    if torch is not None:
        assert plain(in_torch(written(x))) == plain(x)
        assert same(loaded(written(torch.as_tensor(x.numpy().copy()), torch)), x)
    if name == "expanded":
        with pytest.raises(RuntimeError, match="read-only"):
            back.add_(1)
    elif x.numel():
        back.add_(1)
        assert (back == x + 1).all()


def test_only_the_memory_that_is_used_is_written():
    assert len(written(ta.zeros(100_000)[:3])) < 2000


def test_shared_memory_stays_shared():
    weight = nn.Parameter(ta.ones(2, 3))
    saved = {"a": weight, "b": weight.detach().t(), "row": weight.detach()[1], "apart": ta.ones(6)}
    content = written(saved)
    back = loaded(content)
    assert isinstance(back["a"], nn.Parameter)
    assert back["a"].requires_grad
    back["row"].fill_(5)
    assert back["b"].tolist() == [[1, 5]] * 3
    assert back["a"].tolist() == [[1, 1, 1], [5, 5, 5]]
    assert back["apart"].tolist() == [1] * 6
    version = back["a"]._storage.version
    assert version == back["row"]._storage.version == 1
    if torch is not None:
        theirs = in_torch(content)
        theirs["row"].fill_(5)
        assert theirs["b"].tolist() == [[1, 5]] * 3
        assert isinstance(theirs["a"], torch.nn.Parameter)
        assert same(loaded(written(theirs, torch)), back)


def test_memory_shared_by_tensors_of_two_dtypes():
    array = np.arange(4, dtype=np.int32)
    saved = [ta.from_numpy(array), ta.from_numpy(array.view(np.float32))]
    assert same(loaded(written(saved)), saved)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.out = nn.Linear(4, 5, bias=False)
        self.out.weight = self.embed.weight
        self.norm = nn.LayerNorm(4)


def test_a_model_and_its_optimiser_go_on(tmp_path):
    ta.manual_seed(0)
    model, other = Tied(), Tied()
    optimiser = ta.optim.Adam(model.parameters(), lr=0.01)
    again = ta.optim.Adam(other.parameters(), lr=0.5)

    def step(model, optimiser):
        optimiser.zero_grad()
        x = ta.arange(5)
        ta.nn.functional.cross_entropy(model.out(model.norm(model.embed(x))), x).backward()
        optimiser.step()

    step(model, optimiser)
    path = tmp_path / "checkpoint.tar"
    ta.save({"epoch": 3, "model": model.state_dict(), "optimiser": optimiser.state_dict()}, path)
    found = ta.load(path, map_location="cpu")
    assert found["epoch"] == 3
    other.load_state_dict(found["model"])
    again.load_state_dict(found["optimiser"])
    for one in ((model, optimiser), (other, again)):
        step(*one)
    assert same(dict(model.state_dict()), dict(other.state_dict()))


@needs_torch
def test_models_go_both_ways():
    ours, theirs = nn.LSTM(3, 4, num_layers=2), torch.nn.LSTM(3, 4, num_layers=2)
    ours.load_state_dict(loaded(written(theirs.state_dict(), torch)))
    x = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
    expected = theirs(torch.tensor(x))[0].detach().numpy()
    np.testing.assert_allclose(ours(ta.tensor(x))[0].detach().numpy(), expected, atol=1e-6)
    again = torch.nn.LSTM(3, 4, num_layers=2)
    again.load_state_dict(in_torch(written(ours.state_dict())))
    assert torch.equal(again.weight_hh_l1, theirs.weight_hh_l1)


@needs_torch
@pytest.mark.parametrize("name", ["Adam", "AdamW", "SGD", "RMSprop", "Adagrad"])
def test_the_state_of_an_optimiser_goes_both_ways(name):
    def state(library):
        weight = library.tensor([1.0, 2.0], requires_grad=True)
        options = {"lr": 0.1, "momentum": 0.9} if name == "SGD" else {"lr": 0.1}
        optimiser = getattr(library.optim, name)([weight], **options)
        weight.square().sum().backward()
        optimiser.step()
        return optimiser, weight

    ours, theirs = state(ta), state(torch)
    ours[0].load_state_dict(loaded(written(theirs[0].state_dict(), torch)))
    theirs[0].load_state_dict(in_torch(written(ours[0].state_dict())))
    for optimiser, _ in (ours, theirs):
        optimiser.step()
    np.testing.assert_allclose(ours[1].tolist(), theirs[1].tolist(), rtol=1e-6)


@needs_torch
@pytest.mark.parametrize(
    ("old", "new"),
    [("float16", "float32"), ("bfloat16", "float32"), ("int8", "int32"), ("int16", "int32")],
)
def test_narrow_types_are_converted_with_a_warning(old, new):
    x = torch.tensor([[-2, 1], [3, 100]], dtype=getattr(torch, old))
    with pytest.warns(UserWarning, match=f"f: tensors of {old} are converted to {new}") as caught:
        found = ta.load(io.BytesIO(written([x, x.t()], torch)))
    assert caught[0].filename == __file__
    assert str(found[0].dtype) == new
    assert [f.tolist() for f in found] == [[[-2, 1], [3, 100]], [[-2, 3], [1, 100]]]


@needs_torch
@pytest.mark.parametrize("dtype", ["uint8", "bool", "int64", "int32", "float64", "float32"])
def test_types_stay(dtype):
    x = torch.tensor([0, 1, 1], dtype=getattr(torch, dtype))
    assert plain(loaded(written(x, torch))) == plain(x)


@needs_torch
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_of_pickle(protocol):
    obj = {"a": torch.ones(2), 3: ["x" * 300, b"y", 2**40, -1, 1.5, None, True, {1}, ("z",)] * 2}
    file = io.BytesIO()
    torch.save(obj, file, pickle_protocol=protocol)
    assert plain(loaded(file.getvalue())) == plain(obj)


@needs_torch
def test_attributes_of_a_state_dict_are_left_out():
    found = loaded(written(torch.nn.BatchNorm1d(2).state_dict(), torch))
    assert list(found) == [
        "weight", "bias", "running_mean", "running_var", "num_batches_tracked",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "place", [None, "cpu", ta.device("cpu"), {"cuda:0": "cpu"}, lambda storage, location: storage]
)
def test_map_location_may_name_the_cpu(place):
    assert loaded(written([1]), map_location=place, weights_only=False) == [1]
    with pytest.raises(RuntimeError, match="tinyattn computes on the CPU only"):
        loaded(written([1]), map_location="cuda:0")


# What is not written


@pytest.mark.parametrize(
    ("obj", "error", "message"),
    [
        ({"a": [1, object()]}, TypeError, r"save: \['a'\]\[1\]: .* got object"),
        ({"a": nn.Linear(1, 1)}, TypeError, r"\['a'\]: .*got Linear; save its state_dict\(\)"),
        ({(1, ta.float32, 2j): 1}, TypeError, "the key .* of obj.*got complex"),
        ([np.ones(2)], TypeError, r"\[0\]: .*got ndarray"),
        (2 ** (8 * 300), ValueError, "an int of 2401 bits is too large"),
    ],
)
def test_what_can_not_be_written_is_named(obj, error, message, tmp_path):
    with pytest.raises(error, match=message):
        written(obj)
    with pytest.raises(error, match=message):
        ta.save(obj, tmp_path / "x.pt")
    assert not os.listdir(tmp_path)


def test_a_module_is_refused_and_its_state_named(tmp_path):
    for place in (io.BytesIO(), tmp_path / "m.pt", tmp_path / "m.safetensors"):
        with pytest.raises(TypeError, match=r"a module \(Linear\) .* save\(module.state_dict\(\)"):
            ta.save(nn.Linear(1, 1), place)


def test_a_container_in_itself_is_refused():
    loop = []
    loop.append({"a": loop})
    with pytest.raises(ValueError, match=r"\[0\]\['a'\]: a container that contains itself"):
        written(loop)
    twice = [ta.ones(1)]
    assert same(loaded(written([twice, twice])), [twice, twice])


# Files that are cut, altered or hostile


def archive(pickle, pieces=(), compression=zipfile.ZIP_STORED, **parts):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as out:
        out.writestr("archive/data.pkl", pickle)
        for key, piece in enumerate(pieces):
            out.writestr(f"archive/data/{key}", piece)
        for name, part in parts.items():
            out.writestr(f"archive/{name}", part)
    return file.getvalue()


CONTENT = written({"a": ta.arange(3.0).double(), "n": [1, "text"]})


@pytest.mark.parametrize("length", range(0, len(CONTENT), 7))
def test_a_cut_file_is_an_error(length):
    with pytest.raises(ValueError, match="f: expected"):
        loaded(CONTENT[:length])


@pytest.mark.parametrize("start", range(50))
def test_an_altered_byte_is_an_error_or_changes_nothing(start):
    whole = {"a": ta.arange(3.0).double(), "n": [1, "text"]}
    for place in range(start, len(CONTENT), 50):
        for change in (1, 0x80, 0xFF):
            altered = bytearray(CONTENT)
            altered[place] ^= change
            try:
                found = loaded(bytes(altered))
            except ValueError as error:
                assert str(error).startswith("f: ")  # noqa: PT017
            else:
                assert same(found, whole), place


@given(st.binary(max_size=60))
def test_any_pickle_is_an_error_or_harmless(noise):
    try:
        loaded(archive(noise + b"."))
    except ValueError as error:
        assert str(error).startswith("f: ")  # noqa: PT017


class Evil:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("function", [os.system, eval, exec, __import__, open])
def test_nothing_is_executed(tmp_path, function, protocol):
    target = tmp_path / "executed"
    text = {
        os.system: f"touch {target}",
        eval: f"__import__('os').system('touch {target}')",
        exec: f"open({str(target)!r}, 'w')",
        __import__: "tinyattn.doctor",
        open: str(target),
    }[function]
    call = (function, text, "w") if function is open else (function, text)
    for obj in (Evil(*call), {"a": [Evil(*call)]}, {Evil(*call): 1}):
        with pytest.raises(ValueError, match=r"only tensors, containers, numbers|is unknown here"):
            loaded(archive(pickle.dumps(obj, protocol)))
    assert not target.exists()


def storage(kind="FloatStorage", key="0", count=4, what="storage"):
    text = f"(X{chr(len(what))}\0\0\0{what}ctorch\n{kind}\nX\x01\0\0\0{key}X\x03\0\0\0cpuJ"
    return text.encode() + count.to_bytes(4, "little", signed=True) + b"tQ"


def tensor(offset=0, size=(4,), stride=(1,), memory=None):
    def number(n):
        return b"J" + n.to_bytes(4, "little", signed=True)

    def numbers(ns):
        return b"(" + b"".join(map(number, ns)) + b"t"

    start = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n("
    rest = number(offset) + numbers(size) + numbers(stride) + b"\x89}tR."
    return start + (memory or storage()) + rest


def test_a_tensor_written_by_hand_is_read():
    x = np.arange(4, dtype=np.float32)
    assert loaded(archive(tensor(), [x.tobytes()])).tolist() == [0, 1, 2, 3]
    content = archive(tensor(1, (2, 2), (1, 1)), [x.tobytes()])  # elements twice, as of unfold
    assert loaded(content).tolist() == [[1, 2], [2, 3]]


def members(obj):
    """The members of the file of obj, without the name of the folder."""
    with zipfile.ZipFile(io.BytesIO(written(obj))) as file:
        return {name.removeprefix("archive/"): file.read(name) for name in file.namelist()}


def test_a_file_has_the_members_that_pytorch_looks_for():
    found = members(ta.tensor([1.0, 2.0]))
    assert [*found] == ["data.pkl", "byteorder", "data/0", "version"]
    assert (found["byteorder"], found["version"]) == (b"little", b"3\n")
    assert found["data/0"] == np.array([1, 2], "<f4").tobytes()


def test_only_the_memory_of_a_tensor_is_written_wherever_it_begins():
    x = ta.arange(1000.0)
    assert members(x[990:])["data/0"] == x[990:].numpy().tobytes()
    assert loaded(written([x[990:], x[995:]]))[1].tolist() == x[995:].tolist()


@pytest.mark.parametrize("dtype", ["uint8", "bool", "int32", "int64", "float32", "float64"])
def test_every_dtype_comes_back(dtype):
    x = ta.tensor(np.array([[0, 1], [1, 1]], dtype))
    found = loaded(written([x, x[:, 1], x.T]))
    assert {str(part.dtype) for part in found} == {dtype}
    assert [part.tolist() for part in found] == [x.tolist(), x[:, 1].tolist(), x.T.tolist()]


def test_a_reversed_array_is_written_in_its_own_order():
    x = ta.from_numpy(np.arange(6.0).reshape(2, 3)[:, ::-1].copy()[:, ::-1])
    assert loaded(written(x)).tolist() == x.tolist()


def test_sizes_devices_and_flags_come_back():
    obj = [ta.ones(2, 3).shape, ta.device("cpu"), ta.float64]
    found = loaded(written(obj))
    assert found == obj
    assert type(found[0]) is ta.Size
    tensors = [ta.ones(2), ta.ones(2, requires_grad=True), nn.Parameter(ta.ones(2))]
    tensors.append(nn.Parameter(ta.ones(2), requires_grad=False))
    back = loaded(written(tensors))
    assert [x.requires_grad for x in back] == [False, True, True, False]
    assert [type(x) for x in back] == [ta.Tensor, ta.Tensor, nn.Parameter, nn.Parameter]


def test_a_tensor_without_elements_begins_where_its_memory_does():
    steps = [
        (step.name, arg) for step, arg, _ in pickletools.genops(members(ta.zeros(0))["data.pkl"])
    ]
    after = [name for name, _ in steps].index("BINPERSID") + 1
    assert steps[after] == ("BININT", 0)


def test_integers_up_to_255_bytes_come_back():
    edges = [2**31, 2**63, 2**2038]
    whole = [sign * (edge + step) for sign in (1, -1) for edge in edges for step in (-1, 0, 1)]
    assert loaded(written(whole)) == whole
    with pytest.raises(ValueError, match="an int of 2040 bits is too large"):
        written(2**2039)


def narrow(kind, array, **shape):
    return archive(tensor(memory=storage(kind, count=array.size), **shape), [array.tobytes()])


@pytest.mark.parametrize(
    ("kind", "array", "dtype"),
    [
        ("HalfStorage", np.array([-2.0, 0.5, 3.0, 100.0], "<f2"), "float32"),
        ("BFloat16Storage", np.array([-2.0, 0.5, 3.0, 100.0], "<f4").view("<u2")[1::2], "float32"),
        ("CharStorage", np.array([-2, 1, 3, 100], "i1"), "int32"),
        ("ShortStorage", np.array([-2, 1, 3, 1000], "<i2"), "int32"),
    ],
)
def test_narrow_types_written_by_hand_are_converted_with_a_warning(kind, array, dtype):
    name = {"BFloat16Storage": "bfloat16"}.get(kind, str(array.dtype))
    with pytest.warns(UserWarning, match=f"f: tensors of {name} are converted to {dtype}") as told:
        found = ta.load(io.BytesIO(narrow(kind, array, size=(2, 2), stride=(1, 2))))
    assert told[0].filename == __file__
    assert str(found.dtype) == dtype
    first = -2 if array.dtype.kind != "f" else -2.0
    values = [first, 0.5, 3, 100] if "float" in dtype else array.tolist()
    assert found.tolist() == [values[::2], values[1::2]]


def test_every_conversion_is_warned_of():
    one = tensor(memory=storage("HalfStorage", "0"))[2:-1]
    two = tensor(memory=storage("CharStorage", "1"))[2:-1]
    pieces = [np.ones(4, "<f2").tobytes(), np.ones(4, "i1").tobytes()]
    with pytest.warns(UserWarning, match="are converted to") as told:
        loaded(archive(b"\x80\x02](" + one + two + b"e.", pieces))
    assert [str(record.message).split()[3] for record in told] == ["float16", "int8"]


def test_bools_are_0_or_1():
    def read(*numbers):
        content = np.array(numbers, np.uint8)
        return loaded(narrow("BoolStorage", content)).tolist()

    assert read(0, 1, 1, 0) == [False, True, True, False]
    with pytest.raises(ValueError, match="0 or 1 was expected for each bool"):
        read(0, 1, 2, 0)


PLAIN = {
    "a": (1,), "b": (1, 2), "c": (1, 2, 3), "d": (1, 2, 3, 4), "e": [5], "f": [6, 7], "g": {8, 9},
    "h": {"one": None}, "i": (), "j": [], "k": {}, "l": b"bytes", "m": "text" * 100, "n": 1.5,
    "o": [True, False, None, -1, 300, 70000, 2**40, -(2**40)], "p": set(), 3: "three",
}  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_of_pythons_own_pickle(protocol):
    again = [PLAIN["o"], PLAIN["o"], OrderedDict(x=1)]
    found = loaded(archive(pickle.dumps([PLAIN, again], protocol)))
    assert found == [PLAIN, again]
    assert found[1][0] is found[1][1] is found[0]["o"]
    assert type(found[1][2]) is OrderedDict


def test_steps_that_python_does_not_write():
    assert loaded(archive(b"(K\x01K\x02l.")) == [1, 2]
    assert loaded(archive(b"ccollections\nOrderedDict\n)R}b.")) == OrderedDict()
    size = loaded(archive(b"ctorch\nSize\n((K\x02K\x03ttR."))
    assert (type(size), size) == (ta.Size, (2, 3))


@pytest.mark.parametrize(
    ("size", "stride", "apart"),
    [
        ((4,), (1,), True),
        ((2, 2), (1, 2), True),
        ((2, 1, 2), (2, 0, 1), True),
        ((2, 2), (1, 1), False),
        ((4,), (0,), False),
        ((2, 2), (2, 0), False),
        ((3, 1), (1, 9), True),
        ((2, 2), (0, 1), False),
    ],
)
def test_a_tensor_may_be_written_where_its_elements_lie_apart(size, stride, apart):
    content = archive(tensor(0, size, stride), [np.arange(4, dtype=np.float32).tobytes()])
    assert loaded(content).numpy().flags.writeable == apart


def test_elements_of_long_strides_may_share_a_place():
    memory = storage(count=6)
    content = tensor(0, (3, 2), (1, 2), memory), tensor(0, (2, 3), (3, 1), memory)
    pieces = [np.arange(6, dtype=np.float32).tobytes()]
    shared, whole = (loaded(archive(c, pieces)) for c in content)
    assert shared.tolist() == [[0, 2], [1, 3], [2, 4]]
    assert not shared.numpy().flags.writeable
    assert whole.numpy().flags.writeable


def test_a_tensor_without_elements_or_without_a_flag():
    pieces = [np.arange(4, dtype=np.float32).tobytes()]
    assert loaded(archive(tensor(size=(0, 3), stride=(3, 1)), pieces)).shape == (0, 3)
    short = tensor()[: -len(b"\x89}tR.")] + b"tR."
    assert not loaded(archive(short, pieces)).requires_grad


@pytest.mark.parametrize(
    "content",
    {
        "another encoding": b"c_codecs\nencode\n(X\x01\0\0\0aX\x05\0\0\0utf-8tR.",
        "a size of floats": b"ctorch\nSize\n((G?\xf0\0\0\0\0\0\0ttR.",
        "arguments in a list": b"c__builtin__\nset\n]R.",
        "a mark beyond the stack": b"}NN(su.",
        "reaches beyond": tensor(size=(5,)),
        "starts beyond": tensor(offset=1),
        "strides beyond": tensor(size=(2, 2), stride=(3, 1)),
        "negative offset": tensor(offset=-1),
        "negative size": tensor(size=(-1,)),
        "negative stride": tensor(offset=3, stride=(-1,)),
        "no stride": tensor(stride=()),
        "more elements than memory": tensor(memory=storage(count=5), size=(5,)),
        "less elements than memory": tensor(memory=storage(count=3), size=(3,)),
        "another type": tensor(memory=storage("DoubleStorage")),
        "an unknown type": tensor(memory=storage("ComplexFloatStorage")),
        "no memory": tensor(memory=storage(key="7")),
        "no storage": tensor(memory=storage(what="persist")),
        "a number for memory": tensor(memory=b"K\x01"),
        "a call of a number": b"K\x01)R.",
        "a call without arguments": b"ccollections\nOrderedDict\nK\x01R.",
        "an unknown step": b"c__builtin__\nset\n)\x81.",  # NEWOBJ
        "an object": b"(ios\nsystem\n.",
        "an extension": b"\x82\x01.",
        "nothing": b".",
        "two things": b"NN.",
        "no end": b"N",
        "an empty stack": b"0.",
        "a mark of nothing": b"(.",
        "a lost mark": b"N(\x85t.",
        "unknown memory of the pickle": b"h\x07.",
        "a huge place in memory": b"Nr\xff\xff\xff\xff.",
        "a huge text": b"X\xff\xff\xff\xff.",
        "attributes of a dict": b"}}b.",
        "a list as a key": b"}]Ns.",
        "items of a number": b"K\x01(NNu.",
        "one item": b"}(Nu.",
        "a device of a number": b"ctorch\nSize\n(K\x01tR.",
    }.items(),
    ids=lambda item: item[0],
)
def test_what_makes_no_sense_is_an_error(content):
    x = np.arange(4, dtype=np.float32)
    if content[0] == "a huge place in memory":
        assert loaded(archive(content[1])) is None  # a dict holds it, not an array
        return
    with pytest.raises(ValueError, match=r"^f: "):
        loaded(archive(content[1], [x.tobytes()]))


def test_a_huge_tensor_without_memory_takes_none():
    content = archive(tensor(size=(2**30, 2**10), stride=(0, 0)), [bytes(16)])
    assert loaded(content).shape == (2**30, 2**10)


def test_a_compressed_file_is_an_error():
    with pytest.raises(ValueError, match=r"not compressed, got data\.pkl"):
        loaded(archive(b"N" * 1000 + b".", compression=zipfile.ZIP_DEFLATED))


def test_other_kinds_of_files_are_named():
    with pytest.raises(ValueError, match="byte order little, got b'big'"):
        loaded(archive(b"N.", byteorder="big"))
    with pytest.raises(ValueError, match="TorchScript"):
        loaded(archive(b"N.", **{"constants.pkl": "x"}))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        out.writestr("a.txt", "text")
    with pytest.raises(ValueError, match=r"expected one data\.pkl"):
        loaded(file.getvalue())
    with pytest.raises(ValueError, match=r"PyTorch's file format before 1\.6"):
        loaded(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + b"rest")


@needs_torch
def test_a_module_that_torch_wrote_is_refused():
    with pytest.raises(ValueError, match=r"torch\.nn\.modules.* Save a state_dict in place"):
        loaded(written(torch.nn.Linear(1, 1), torch))


def test_the_list_of_names_is_short():
    calls = [name for name, value in _torch_files._KNOWN.items() if hasattr(value, "function")]
    assert len(calls) == 9
