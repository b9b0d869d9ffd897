"""Reports: perplexity, BLEU, exact match and examples of sources held out."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from sacrebleu.metrics import BLEU
from translator import evaluation
from translator.files import load_model

from tinyattn.text import read_pairs, split_by_source

from .program import LEARN, SMALL, TOY, contents, refused, report_of, run, toy_lines


def toy_test_pairs(toy: Any) -> dict[str, list[str]]:
    """The references of each source held out for the test."""
    pairs = read_pairs(toy.folder / "toy.txt", swap=True)
    references = defaultdict(list)
    for source, target in split_by_source(pairs, 20, 40, seed=0)[2]:
        references[source].append(target)
    return references


def test_report_has_its_lines(toy: Any) -> None:
    text = toy.stdout
    assert re.search(r"^gold-prefix perplexity: \d+\.\d+$", text, re.M)
    number, details = r"\d+\.\d ± \d+\.\d", r"\(nrefs:var\|bs:1000\|\S*\|version:\S+\)"
    assert re.search(rf"^BLEU: {number}  {details}$", text, re.M)
    assert re.search(rf"^chrF2: {number}  {details}$", text, re.M)
    assert "|tok:13a|" in text
    assert re.search(r"^exact match: \d+\.\d %  \(95 %: \d+\.\d to \d+\.\d %\)$", text, re.M)
    assert re.search(r"^alignment: \d+\.\d % of \d+ content words$", text, re.M)
    assert re.search(r"^  4 tokens, 40 sentences: BLEU \d+\.\d, exact \d+\.\d %$", text, re.M)
    assert re.search(r"^speed: \d+ sentences/s$", text, re.M)
    assert len(re.findall(r"^  \S.*  ->  ", text, re.M)) == 10
    assert re.search("[░▒▓█]", text)


def test_ten_translations_are_of_held_out_sources(toy: Any) -> None:
    shown = re.findall(r"^  (\S+)  ->  ", toy.stdout, re.M)
    assert set(shown) <= set(toy_test_pairs(toy))
    assert len(set(shown)) == 10


def test_fewer_translations_only_with_fewer_test_sources(tmp_path: Path) -> None:
    done = run(tmp_path, *SMALL, "--test", "3")
    assert len(re.findall(r"^  \S.*  ->  ", done.stdout, re.M)) == 3


def test_any_reference_is_an_exact_match_and_bleu_has_them_all(toy: Any) -> None:
    references = toy_test_pairs(toy)
    (toy.folder / "sources.txt").write_text("\n".join(references), encoding="utf-8")
    done = run(toy.folder, "translate", "--file", "sources.txt", "--model", "toy")
    hypotheses = done.stdout.splitlines()
    exact = sum(h in r for h, r in zip(hypotheses, references.values(), strict=True))
    second = sum(h in r[1:] for h, r in zip(hypotheses, references.values(), strict=True))
    assert f"exact match: {100 * exact / len(references):.1f} %" in toy.stdout
    assert exact >= 0.8 * len(references)
    assert second > 0  # some match only the second reference, whichever of the two that is
    assert any(h == r[0] for h, r in zip(hypotheses, references.values(), strict=True))
    streams = [[r[i] if i < len(r) else None for r in references.values()] for i in range(2)]
    score = BLEU().corpus_score(hypotheses, streams).score  # type: ignore[arg-type]
    assert re.search(rf"BLEU: {score:.1f} ± \S+  \(nrefs:var\|", toy.stdout)


def test_evaluate_prints_the_report_of_training_and_overwrites_nothing(toy: Any) -> None:
    before = contents(toy.folder)
    done = run(toy.folder, "evaluate", "--model", "toy")
    assert report_of(done.stdout) == report_of(toy.stdout)
    assert contents(toy.folder).items() >= before.items()


def test_evaluate_finds_the_test_pairs_once_the_data_has_changed_or_gone(
    toy: Any, tmp_path: Path
) -> None:
    for name in ("model", "last"):
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes((toy.folder / "toy" / path.name).read_bytes())
    done = run(tmp_path, "evaluate", "--model", "model.safetensors")
    assert report_of(done.stdout) == report_of(toy.stdout), done.stderr
    assert run(tmp_path, "evaluate", "--model", "last.safetensors").returncode == 0


def test_evaluate_leaves_out_and_counts_what_training_has_seen(toy: Any, tmp_path: Path) -> None:
    """The file of training, moved and read as in training, gives the report of training."""
    content = (toy.folder / "toy.txt").read_text(encoding="utf-8")
    moved = tmp_path / "moved.txt"
    moved.write_text(content, encoding="utf-8")
    done = run(toy.folder, "evaluate", "--model", "toy", "--data", str(moved))
    held_out = sum(map(len, toy_test_pairs(toy).values()))
    pairs = len(toy_lines())
    assert f"left out: {pairs - held_out} of {pairs} pairs, seen in training\n" in done.stdout
    title = f"on 40 sentences of {moved} never trained on:"
    said = report_of(done.stdout).replace(title, "on 40 sentences never trained on:")
    assert said == report_of(toy.stdout)
    (source, *_) = toy_test_pairs(toy)
    lines = [line for line in content.splitlines() if f"\t{source}\t" not in line]
    moved.write_text("\n".join(lines) + f"\nnew.\t九{source}\n", encoding="utf-8")
    done = run(toy.folder, "evaluate", "--model", "toy", "--data", str(moved))
    assert f"on 40 sentences of {moved} never trained on:" in done.stdout


def test_evaluate_takes_other_pairs_and_reads_them_as_in_training(toy: Any) -> None:
    (toy.folder / "other.txt").write_text("nothing like it\t八八八八。\n", encoding="utf-8")
    before = contents(toy.folder)
    done = run(toy.folder, "evaluate", "--model", "toy", "--data", "other.txt")
    assert contents(toy.folder).items() > before.items()  # one more attention map
    assert "on 1 sentences of other.txt never trained on:" in done.stdout
    assert "  八八八八。  ->  " in done.stdout
    assert "exact match: 0.0 %" in done.stdout
    assert "left out" not in done.stdout
    (toy.folder / "turned.txt").write_text("八八八八。\tnothing like it\n", encoding="utf-8")
    turned = run(toy.folder, "evaluate", "--model", "toy", "--data", "turned.txt", "--no-swap")
    assert report_of(turned.stdout).replace("turned", "other") == report_of(done.stdout)


def test_evaluate_refuses_pairs_that_are_all_seen_and_a_swap_of_nothing(toy: Any) -> None:
    held_out = toy_test_pairs(toy)
    line = next(line for line in toy_lines() if line.split("\t")[1] not in held_out)
    (toy.folder / "seen.txt").write_text(line + "\n", encoding="utf-8")
    use = ("evaluate", "--model", "toy")
    says = "seen.txt: expected sources that training has not seen, got none in the 1 pairs"
    refused(toy.folder, *use, "--data", "seen.txt", says=says)
    refused(toy.folder, *use, "--swap", says="--swap: expected --data with it")


def test_the_model_trained_last_is_the_default(builtin: Any) -> None:
    done = run(builtin.folder, "evaluate")
    assert report_of(done.stdout) == report_of(builtin.stdout)


def test_the_built_in_corpus_is_swapped_too(tmp_path: Path) -> None:
    done = run(tmp_path, *SMALL, "--swap")
    assert "tok:zh" in done.stdout
    assert run(tmp_path, "evaluate").returncode == 0


def test_output_is_utf8_wherever_it_goes(builtin: Any) -> None:
    done = run(builtin.folder, "evaluate", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert report_of(done.stdout) == report_of(builtin.stdout)


def test_without_a_chinese_font_only_the_picture_is_missing(
    toy: Any, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    def fontless(*_: Any) -> None:
        raise RuntimeError("no installed font holds Chinese characters")

    monkeypatch.setattr(evaluation, "attention_figure", fontless)
    model = load_model(str(toy.folder / "toy")).model
    evaluation.report(model, [("一二三。", "three two one.")], tmp_path)
    out, error = capsys.readouterr()
    assert "exact match: " in out
    assert "attention map" not in out
    assert "no attention map: no installed font holds Chinese characters" in error
    assert list(tmp_path.iterdir()) == []


def test_two_models_are_compared_on_their_test_pairs(toy: Any) -> None:
    done = run(toy.folder, *TOY, *LEARN, "--out", "less", "--epochs", "4")
    assert done.returncode == 0, done.stderr
    done = run(toy.folder, "compare", "less", "toy")
    assert done.returncode == 0, done.stderr
    for name in ("BLEU", "chrF2"):
        found = re.search(
            rf"^{name}: (\S+) ± \S+ and (\S+) ± \S+, difference \+(\S+), p = (\S+)  \(nrefs:",
            done.stdout,
            re.M,
        )
        assert found, done.stdout
        one, other, difference, p = map(float, found.groups())
        assert other - one == pytest.approx(difference, abs=0.11)
        assert p < 0.05
    same = run(toy.folder, "compare", "toy", "toy/last.safetensors", "--beam", "2")
    assert re.search(r"right in one alone: \d+ and \d+\n$", same.stdout), same.stderr


def test_models_with_other_test_pairs_are_not_compared(toy: Any) -> None:
    run(toy.folder, *TOY, "--hidden", "4", "--epochs", "1", "--seed", "1", "--out", "other")
    refused(
        toy.folder, "compare", "toy", "other", says="other: expected the test pairs of toy, got"
    )
    refused(toy.folder, "compare", "toy", "gone", says="gone: expected a model that `train` saved")
