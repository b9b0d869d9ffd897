"""--quantize: weights of 8 bits, their file, and what it is not for."""

import re
from typing import Any

from translator.files import load_model

from .program import TOY, refused, run


def test_weights_of_8_bits_translate_as_well_from_a_quarter_of_the_size(toy: Any) -> None:
    done = run(toy.folder, "evaluate", "--model", "toy", "--quantize")
    assert done.returncode == 0, done.stderr
    path = toy.folder / "toy" / "model-int8.safetensors"
    assert "weights of 8 bits: toy/model-int8.safetensors" in done.stdout
    before, after = (
        float(re.search(r"^BLEU: (\d+\.\d)", text, re.M)[1])  # type: ignore[index]
        for text in (toy.stdout, done.stdout)
    )
    assert after >= before - 2
    state = load_model(str(path)).model.state_dict()
    bytes_of = sum(x.numel() * x.dtype.itemsize for x in state.values())
    whole = load_model(str(toy.folder / "toy")).model.state_dict()
    assert bytes_of <= 0.36 * sum(x.numel() * x.dtype.itemsize for x in whole.values())

    sentence = "三二一。"
    quantised = run(toy.folder, "translate", sentence, "--model", "toy", "--quantize")
    from_file = run(toy.folder, "translate", sentence, "--model", str(path))
    assert from_file.stdout == quantised.stdout != ""
    again = run(toy.folder, "translate", sentence, "--model", str(path), "--quantize")
    assert again.stdout == quantised.stdout

    name = "toy/model-int8.safetensors"
    says = f"{name}: expected a model as `train` saves it, got weights of 8 bits"
    refused(toy.folder, "evaluate", "--model", name, says=says)
    refused(toy.folder, "compare", "toy", name, says=says)
    refused(toy.folder, *TOY, "--from", name, says=says)
    path.write_bytes(path.read_bytes()[:-100])
    refused(toy.folder, "translate", sentence, "--model", name, says=name)
    path.unlink()


def test_a_page_with_the_model_needs_whole_numbers(toy: Any) -> None:
    words = ("translate", "三二一。", "--model", "toy", "--quantize", "--page", "x.html")
    refused(toy.folder, *words, "--with-model", says="--quantize: expected no --with-model")
    done = run(toy.folder, *words)
    assert done.returncode == 0, done.stderr
    (toy.folder / "x.html").unlink()
