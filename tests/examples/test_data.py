"""Pairs that can not be trained on end in one line, with nothing written."""

from pathlib import Path

import pytest
from translator.data import digest, prepare
from translator.files import load_model, new_folder, save_model
from translator.model import with_one_apostrophe
from translator.options import parsed, train_options

from tinyattn.text import TOKENISERS, UNK, DataError, Vocab, batches

from .program import refused, run


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "pairs.txt: expected a text file that can be read: no such file"),
        (b"", "pairs.txt: expected lines of source TAB target, got an empty file"),
        (b"a\tb\nc d\n", "pairs.txt:2: expected source TAB target, got one column: 'c d'"),
        (b"a\tb\nc\t\n", "pairs.txt:2: expected source TAB target, got an empty second column"),
        (b"a\tb\n\xff\tb\n", "pairs.txt:2: expected UTF-8, got byte 0xff"),
        (
            b"a\tb\n" * 9,
            "pairs.txt: expected more than valid + test = 3000 distinct sources, got 1 in 9 pairs; "
            "lower --valid and --test",
        ),
    ],
)
def test_pairs_that_cannot_be_trained_on(tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "pairs.txt").write_bytes(content)
    refused(tmp_path, "--data", "pairs.txt", says=says)


def uneven(folder: Path) -> str:
    """100 pairs of 3 tokens a side, one of 4 and 120, one of 1001 and 4."""
    lines = [f"a b {i}\tc d {i}\n" for i in range(100)]
    lines.append(f"a b x 1\t{' d' * 120}\n")
    lines.append(f"{' a' * 1000} b\tc d y 1\n")
    (folder / "uneven.txt").write_text("".join(lines), encoding="utf-8")
    return str(folder / "uneven.txt")


def test_long_training_pairs_are_left_out_and_their_words_are_unknown(tmp_path: Path) -> None:
    given = ("--data", uneven(tmp_path), "--valid", "1", "--test", "1")
    model, data = prepare(train_options(*given))
    assert data.left_out == 2
    assert len(data.training) == 98
    assert "x" not in model.source
    assert "y" not in model.target
    assert prepare(train_options(*given, "--max-length", "120"))[1].left_out == 1
    assert prepare(train_options(*given, "--max-length", "1001"))[1].left_out == 0
    with pytest.raises(DataError, match="--max-length: expected room for a training pair, got 2 "):
        prepare(train_options(*given, "--max-length", "2"))


def test_a_long_pair_does_not_make_its_batch_as_wide(tmp_path: Path) -> None:
    given = ("--data", uneven(tmp_path), "--valid", "1", "--test", "1", "--max-length", "2000")
    args = train_options(*given)
    found = list(batches(prepare(args)[1].training, args.batch, args.seed))
    assert sum(len(batch.lengths) for batch in found) == 100
    assert max(batch.source.size + batch.target_in.size for batch in found) <= 100 * args.batch


def test_what_is_left_out_is_printed(tmp_path: Path) -> None:
    given = ("--valid", "1", "--test", "1", "--hidden", "8", "--epochs", "1")
    done = run(tmp_path, "--data", uneven(tmp_path), *given)
    assert "98 training, 1 validation, 1 test pairs" in done.stdout, done.stderr
    assert "left out: 2 training pairs longer than 100 tokens\n" in done.stdout


def small_letters(folder: Path, *more: str) -> str:
    """60 pairs without a capital letter, and others."""
    lines = [f"ein mann und {i} hunde.\ta man and {i} dogs.\n" for i in range(60)]
    (folder / "pairs.txt").write_text("".join([*lines, *more]), encoding="utf-8")
    return str(folder / "pairs.txt")


@pytest.mark.parametrize("tokens", ["word", "bpe"])
def test_a_model_of_small_letters_reads_capital_ones_as_small_ones(
    tmp_path: Path, tokens: str
) -> None:
    if tokens == "bpe":
        pytest.importorskip("sentencepiece")
    given = ("--valid", "1", "--test", "1", "--hidden", "4", "--tokens", tokens, "--pieces", "300")
    model, data = prepare(train_options("--data", small_letters(tmp_path), *given))
    assert model.read.tokenize("EIN Mann.") == model.read.tokenize("ein mann.")
    assert model.write.tokenize("A man") != model.write.tokenize("a man")
    save_model(model, data, tmp_path)
    again = load_model(str(tmp_path)).model
    assert again.translate(["Ein Mann"])[0].source == model.read.tokenize("ein mann")
    args = train_options("--data", small_letters(tmp_path, "Ein Mann\ta man\n"), *given)
    cased, _ = prepare(args)
    assert cased.read.tokenize("EIN Mann.") != cased.read.tokenize("ein mann.")


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("ışık ve istanbul {}\tlight {}\n", "ışık ve istanbul"),
        ("i\u0307stanbul ılık {}\tlight {}\n", "işik ve i\u0307stanbul"),  # not by Turkish rules
        ("wir sind in wien mit ışık in italien {}\tlight {}\n", "işik ve i\u0307stanbul"),
        ("Işık ve İstanbul {}\tlight {}\n", "IŞIK VE İSTANBUL"),
    ],
)
def test_capital_letters_become_small_ones_as_in_the_data(
    tmp_path: Path, line: str, read: str
) -> None:
    (tmp_path / "pairs.txt").write_text("".join(line.format(i, i) for i in range(9)), "utf-8")
    given = ("--valid", "1", "--test", "1", "--hidden", "4")
    model, data = prepare(train_options("--data", str(tmp_path / "pairs.txt"), *given))
    assert model.read.tokenize("IŞIK VE İSTANBUL") == read.split()
    save_model(model, data, tmp_path)
    again = load_model(str(tmp_path)).model
    assert again.read.tokenize("IŞIK VE İSTANBUL") == read.split()


@pytest.mark.parametrize("tokens", ["word", "bpe"])
@pytest.mark.parametrize("mark", ["'", "’"])
def test_either_apostrophe_is_read_as_the_one_of_the_data(
    tmp_path: Path, mark: str, tokens: str
) -> None:
    if tokens == "bpe":
        pytest.importorskip("sentencepiece")
    lines = [f"L{mark}eau, {i}\tthe water {i}\n" for i in range(60)]
    (tmp_path / "pairs.txt").write_text("".join(lines), encoding="utf-8")
    given = ("--valid", "1", "--test", "1", "--hidden", "4", "--tokens", tokens, "--pieces", "300")
    model, _ = prepare(train_options("--data", str(tmp_path / "pairs.txt"), *given))
    wanted = model.source.encode(model.read.tokenize(f"L{mark}eau,"))
    assert UNK not in wanted
    for other in "'’":
        assert model.source.encode(model.read.tokenize(f"L{other}eau,")) == wanted
    both = Vocab(["don't", "l’eau"])
    assert with_one_apostrophe(TOKENISERS["word"], both).tokenize("don’t") == ["don’t"]


def test_words_that_come_once_are_unknown_in_data_of_ones_own(tmp_path: Path) -> None:
    pairs = small_letters(tmp_path, *(f"der seltene {x}\tthe rare {x}\n" for x in ("uhu", "wal")))
    given = ("--data", pairs, "--valid", "1", "--test", "1", "--hidden", "4")
    model, _ = prepare(train_options(*given))
    assert "seltene" in model.source
    assert "uhu" not in model.source
    assert "uhu" in prepare(train_options(*given, "--min-count", "1"))[0].source
    assert train_options("--pairs", "100").min_count == 1
    with pytest.raises(DataError, match=r"^--min-count: expected source tokens that come 99 times"):
        prepare(train_options(*given, "--min-count", "99"))


def three_files(folder: Path) -> tuple[str, ...]:
    """30 pairs, 2 for validation and 3 for the test; two sources are in more than one file. With
    what such files have: a third column, and the line ends and byte order mark of Windows."""
    files = {
        "data": [*(f"ein hund {i}\ta dog {i}" for i in range(28)), "DREI  Katzen\tx", "wal\tx"],
        "valid-data": ["eine katze\ta cat\tCC-BY", "wal\ta whale\tCC-BY", "drei katzen\tx\t"],
        "test-data": ["wal\ta whale", "wal\tthe whale", "ein uhu\tan owl"],
    }
    given = []
    for name, lines in files.items():
        path = folder / f"{name}.txt"
        path.write_bytes(b"\xef\xbb\xbf" + "".join(f"{line}\r\n" for line in lines).encode())
        given += [f"--{name}", str(path)]
    return tuple(given)


def test_pairs_for_validation_and_test_may_have_files_of_their_own(tmp_path: Path) -> None:
    given = three_files(tmp_path)
    args = train_options(*given, "--hidden", "4", "--min-count", "1")
    model, data = prepare(args)
    assert data.test == [("wal", "a whale"), ("wal", "the whale"), ("ein uhu", "an owl")]
    assert data.validation == model.ids([("eine katze", "a cat"), ("drei katzen", "x")])
    assert len(data.training) == 28
    assert data.repeated == 3  # wal of validation; wal and drei katzen of the training pairs
    assert "uhu" not in model.source
    seen = [digest("WAL"), digest("ein uhu")]
    assert prepare(args, model, seen[:1])[1].test == [("ein uhu", "an owl")]
    with pytest.raises(DataError, match="that has not seen all 2 test sources"):
        prepare(args, model, seen)
    _, turned = prepare(train_options(*given, "--swap", "--hidden", "4"))
    assert turned.test == [("a whale", "wal"), ("the whale", "wal"), ("an owl", "ein uhu")]
    _, drawn = prepare(train_options(*given[:4], "--test", "5", "--hidden", "4"))
    assert len(drawn.test) == 5
    assert len(drawn.training) == 23
    assert drawn.repeated == 2  # drei katzen and wal


def test_a_run_with_three_files_goes_on_and_says_what_it_left_out(tmp_path: Path) -> None:
    given = (*three_files(tmp_path), "--hidden", "4", "--epochs", "1")
    done = run(tmp_path, *given, "--out", "run")
    assert "28 training, 2 validation, 3 test pairs\n" in done.stdout, done.stderr
    assert "left out: 3 pairs with a source of --valid-data or --test-data\n" in done.stdout
    assert "on 2 sentences never trained on:" in done.stdout
    other = tmp_path / "elsewhere"
    other.mkdir()
    again = run(other, "--config", str(tmp_path / "run" / "config.toml"), "--out", "run")
    assert again.stdout.splitlines()[:3] == done.stdout.splitlines()[:3], again.stderr
    path = tmp_path / "test-data.txt"
    path.write_text(path.read_text(encoding="utf-8-sig") + "noch einer\tone more\n", "utf-8")
    changed = prepare(train_options(*given))[1].fingerprint
    path.write_text("ein uhu\tan owl\n", "utf-8")
    assert prepare(train_options(*given))[1].fingerprint != changed


def test_files_for_validation_and_test_that_leave_nothing(tmp_path: Path) -> None:
    data, valid, test = three_files(tmp_path)[1::2]
    files = ("--valid-data", valid, "--test-data", test)
    refused(tmp_path, *files, says="--valid-data: expected --data with it")
    refused(tmp_path, *files[2:], says="--test-data: expected --data with it")
    use = ("--data", data, "--test-data")
    says = f"--valid-data: expected sources that {valid} has not, got none"
    refused(tmp_path, *use, valid, "--valid-data", valid, says=says)
    refused(tmp_path, *use, data, "--valid-data", valid, says="expected pairs to train on, got on")
    refused(tmp_path, *use, "gone.txt", says="gone.txt: expected a text file that can be read")


def test_pairs_of_ones_own_have_defaults_of_their_own() -> None:
    names = ("hidden", "epochs", "lr", "dropout", "smoothing", "min_count")
    own, built_in = train_options("--data", "a"), train_options()
    assert [getattr(own, name) for name in names] == [256, 12, 3e-3, 0.35, 0.1, 2]
    assert [getattr(built_in, name) for name in names] == [128, 1, 1e-2, 0.0, 0.0, 1]
    given = train_options("--data", "a", "--score", "dot", "--epochs", "3", "--dropout", "0")
    assert (given.epochs, given.dropout, given.lr) == (3, 0.0, 3e-3)
    assert train_options("--data", "a", "--model", "transformer").epochs == 12


@pytest.mark.parametrize(
    "given",
    [
        ("train", "--data", ""),
        ("train", "--from", ""),
        ("train", "--out", ""),
        ("evaluate", "--model", ""),
        ("compare", "runs/a", ""),
        ("translate", "一", "--page", ""),
    ],
)
def test_an_empty_name_is_refused(given: tuple[str, ...]) -> None:
    """A shell gives one where a variable is not set."""
    with pytest.raises(DataError, match=r": expected a name, got ''$"):
        parsed(given)


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_folder_without_a_name_is_no_place_for_a_run(name: str) -> None:
    with pytest.raises(DataError, match=r"^--out: expected the name of a folder, got '\.\.?'$"):
        new_folder(Path(name))
