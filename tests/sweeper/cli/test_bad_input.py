"""Bad grid files and options: one line that says what is wrong, and nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sweeper.cli.conftest import Refused

A = 'baselines = ["encoder"]\n'  # a grid that is good, to be spoiled

# (what the file holds, the line that is told, what is said of it)
GRIDS: list[tuple[str, int, str]] = [
    ("", 1, "has no cells"),
    ("\n# nothing\n", 1, "has no cells"),
    ("principles = []\nbaselines = []\n", 1, "has no cells"),
    ("principles = [", 1, "is not TOML"),
    ('{"principles": ["Cosine"]}', 1, "is not TOML"),
    ('principles = ["Cosine"]\nprinciples = ["Cosine"]\n', 2, "is not TOML"),
    ("\x00\x01", 1, "is not TOML"),
    ("a = " + "[" * 5_000, 1, "is not TOML"),
    ('principle = ["Cosine"]', 1, "unknown key 'principle', did you mean 'principles'?"),
    ("seeds = 3\n" + A, 1, "unknown key 'seeds'"),
    ('principles = "Cosine"', 1, "principles must be a list"),
    ("principles = [1]", 1, "unknown principle '1'"),
    ('principles = [["Cosine"]]', 1, "unknown principle"),
    ("principles = [{a = 1}]", 1, "unknown principle"),
    ('principles = ["cosine"]', 1, "unknown principle 'cosine', did you mean 'Cosine'?"),
    (
        'principles = ["Cosine"]\nobjectives = ["SIM-SEP"]',
        2,
        "unknown objective 'SIM-SEP', did you mean 'SIM+SEP'?",
    ),
    ('principles = ["Cosine"]\nobjectives = []', 2, "has no cells"),
    ('baselines = ["encoders"]', 1, "unknown baseline 'encoders', did you mean 'encoder'?"),
    ('principles = ["Cosine"]\nlambdas = [1.5]', 2, "λ = 1.5 is outside [0, 1]"),
    ('principles = ["Cosine"]\nlambdas = [nan]', 2, "λ = nan is outside [0, 1]"),
    ('principles = ["Cosine"]\nlambdas = ["0.5"]', 2, "λ = '0.5' is outside [0, 1]"),
    ('principles = ["Cosine"]\nlambdas = [true]', 2, "λ = True is outside [0, 1]"),
    ('principles = ["Cosine"]\nlambdas = [[0.5]]', 2, "λ = [0.5] is outside [0, 1]"),
    ('principles = ["Cosine", "Cosine"]', 1, "names a point twice"),
    ('principles = ["Cosine"]\nlambdas = [0.1234567, 0.1234568]', 2, "names a point twice"),
    (A + "training = 3", 2, "[training] must be one table"),
    (A + "[[loss]]\ntemperature = 1.0", 2, "[loss] must be one table"),
    (A + "[training]\nepoch = 3", 3, "[training]: unknown field 'epoch', did you mean 'epochs'?"),
    (A + "[training]\nepochs = 0", 3, "training.epochs = 0"),
    (A + "[training]\nepochs = 1e3", 3, "training.epochs = 1000.0: a whole number"),
    (A + "[training]\nlr = nan", 3, "training.lr = nan"),
    (A + "[training]\nlr = inf", 3, "training.lr = inf"),
    (A + "[training]\nlr = 1979-05-27", 3, "training.lr"),
    (A + '[training]\nprecision = "fp8"', 3, "unknown precision 'fp8'"),
    (A + "[training]\nprecision = [1]", 3, "unknown precision"),
    (A + "[training]\nbatch_pairs = 1", 3, "training.batch_pairs = 1"),
    (A + '[model]\nhidden = "big"', 3, "model.hidden = 'big'"),
    (A + "[model]\nlatent_activation = {}", 3, "unknown latent activation"),
    (A + "[loss]\nvicreg = [1.0]", 3, "three weights are expected"),
    (A + "[loss]\nvicreg = 25", 3, "three weights are expected"),
    (A + '[loss]\ngamma = "fixed:nan"', 3, "loss.gamma = nan"),
    (A + "[loss]\ngamma = 3", 3, "unknown γ rule '3'"),
    (A + "[probe]\ndropout = 1.5", 3, "probe.dropout = 1.5"),
    (A + "[data]\ntrain_clips = 100_000_000_000", 3, "data.train_clips = 100000000000"),
    (A + "[data]\nvalid_clips = -1", 3, "data.valid_clips = -1"),
    (A + '[data]\nencoder = "wav9"', 3, "unknown encoder 'wav9'"),
    (A + "[data]\nencoder = 3", 3, "encoder = 3"),
    (A + "[data]\ndataset = []", 3, "data.dataset = []: a name is expected"),
    (A + '[data]\nfingerprint = "ab"', 3, "unknown field 'fingerprint'"),
]

LAUNCH = "launch --preset smoke --executor inline"
OPTIONS: list[tuple[str, str]] = [
    (f"{LAUNCH} --grid {'x' * 5_000}", "unknown grid"),
    (f"{LAUNCH} --grid .", "unknown grid '.'"),
    (f"{LAUNCH} --grid", "requires an argument"),
    (f"{LAUNCH} --grid smoke --grid", "requires an argument"),
    (f"{LAUNCH} --grid grid-loop.toml", "unknown grid"),
    (f"{LAUNCH} --seeds -1", "--seeds -1: at least 1 is needed"),
    (f"{LAUNCH} --seeds 1.5", "--seeds"),
    (f"{LAUNCH} --preset [/]", "unknown preset '[/]'"),
    (f"{LAUNCH} --encoder :", "unknown encoder"),
    (f"{LAUNCH} --encoder mae:nowhere.pt", "nowhere.pt"),
    (f"{LAUNCH} --soundfont .", "SoundFont"),
    (f"{LAUNCH} --soundfont bad.sf2", "bad.sf2"),
    (f"{LAUNCH} --data-root .", "--data-root: the notes are rendered"),
    (f"{LAUNCH} --dataset nsynth --data-root bad.sf2", "bad.sf2"),
    (f"{LAUNCH} --dataset nsynth --soundfont bad.sf2", "renders no notes"),
    (f"{LAUNCH} --pack 0", "--pack 0: a number of runs, or auto"),
    (f"{LAUNCH} --pack -3", "--pack -3"),
    (f"{LAUNCH} --device CUDA", "'CUDA' is not one of"),
    (f"{LAUNCH} --precision fp8", "unknown precision 'fp8'; choose one of ieee, tf32, bf16"),
    (f"{LAUNCH} --precision tf32 --device cpu", "precision tf32: GPUs alone have it"),
    (f"{LAUNCH} --address auto", "leave out --executor inline"),
    (f"{LAUNCH} --db a://b://c", "--db a://… is neither a path nor a database URL"),
    (f"{LAUNCH} --db mysql://h/x", "a file, or postgresql+psycopg://"),
    (f"{LAUNCH} --db postgresql+nothing://h/x", "neither a path nor a database URL"),
    (f"{LAUNCH} --db postgresql://h:port/x", "neither a path nor a database URL"),
    (f"{LAUNCH} --db sqlite://", "give the path of a SQLite file"),
    (f"{LAUNCH} --db sqlite:///a.db?mode=memory", "give the path of a SQLite file"),
    (f"{LAUNCH} --db sqlite://host/a.db", "give the path of a SQLite file"),
    (f"{LAUNCH} --db .", ". is a directory; name a file with --db"),
    (f"{LAUNCH} --db nowhere/x.db", "its directory is missing"),
    (f"{LAUNCH} --db bad.sf2/x.db", "cannot open bad.sf2/x.db"),
    (f"{LAUNCH} --db {'x' * 5_000}", "File name too long"),
    (f"{LAUNCH} --db grid-loop.toml", "cannot open grid-loop.toml"),
    (
        f"{LAUNCH} --storage bad.sf2",
        "bad.sf2 (Not a directory); name another directory by --storage",
    ),
    (f"{LAUNCH} --storage /dev/null/x", "cannot write to /dev/null/x (Not a directory)"),
    (f"{LAUNCH} --storage ftp://h/x", "ftp://h/x"),
    (f"{LAUNCH} --storage s3:/bucket/x", "--storage s3:… lacks a slash; write scheme://…"),
    (f"{LAUNCH} --storage s3://KEY:***@bucket", "the key of s3://KEY:***@bucket is not stored"),
    (f"{LAUNCH} --db postgresql:/me:pw@h/x", "--db postgresql:… lacks a slash; write scheme://…"),
    (f"{LAUNCH} --db postgresql://me:p@w@h/x", "--db postgresql://…: write @ as %40"),
    ("resume --db postgresql+psycopg://nobody@127.0.0.1:1/x", "refused"),
    ("resume a b", "unexpected extra argument"),
    ("search --trials 1e3", "--trials"),
    ("search --trials 0", "--trials 0: at least 1 is needed"),
    ("status --wacth", "No such option: --wacth"),
    ("status --db x.db?", "no database at x.db?"),
    ("report --figure two", "--figure"),
    ("report --figure -2", "'-2' is not one of"),
    ("report --format PNG", "'PNG' is not one of"),
    ("export --format xml", "'xml' is not one of"),
    ("recover", "nothing in"),
    ("recover --db a://b", "neither a path nor a database URL"),
    ("recover --storage bad.sf2", "nothing in"),
    ("data fetch", "Missing argument"),
    ("data fetch birds", "birds"),
    ("data fetch nsynth", "--data-root"),
    ("data fetch nsynth --data-root new --parts test,tset", "tset"),
    ("data fetch nsynth --data-root new --url ftp:/x", "ftp:/x"),
    ("data info --encoder wav9", "unknown encoder 'wav9'"),
    ("data prepare --preset smoke --dataset birds", "unknown dataset 'birds'"),
    ("encoders compare --encoder wav9", "unknown encoder 'wav9'"),
    ("encoders compare --seeds 0", "--seeds 0: at least 1 is needed"),
    ("encoders compare --preset big", "unknown preset 'big'"),
    ("encoders pretrain --out .", "cannot write ."),
    ("encoders pretrain --out m.st --clips 0", "0 clips are too few"),
    ("encoders pretrain --out m.st --epochs 0", "at least one epoch"),
    ("encoders pretrain --out nowhere/m.st", "cannot write nowhere/m.st"),
]


@pytest.mark.parametrize(("text", "line", "says"), GRIDS)
def test_a_bad_grid_file_is_refused_by_its_line(
    refused: Refused, text: str, line: int, says: str
) -> None:
    Path("mine.toml").write_text(text)
    launch = ("--grid", "mine.toml", "--preset", "smoke")
    refused(f"sweeper: mine.toml:{line}:", "launch", *launch, "--dry-run")
    refused(says, "launch", *launch, "--executor", "inline")


def test_a_grid_file_that_is_no_text_is_refused(refused: Refused) -> None:
    Path("mine.toml").write_bytes(b'\nbaselines = ["\xff\xfe"]')
    refused("mine.toml:2: this is not TOML", "launch", "--grid", "mine.toml", "--dry-run")


@pytest.mark.parametrize(("arguments", "says"), OPTIONS)
def test_bad_options_are_refused(refused: Refused, arguments: str, says: str) -> None:
    refused(says, *arguments.split())
