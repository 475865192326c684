"""`sweeper data fetch`: NSynth's published archives, or a small mirror of it, to this disk."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console

from sweeper.console.progress import data_progress
from sweeper.data.nsynth.download import bytes_of, download, md5_of, partial_of, size_of
from sweeper.errors import SweeperError

BASE = "http://download.magenta.tensorflow.org/datasets/nsynth/"
LICENCE = "NSynth (Engel et al., 2017), Google Inc.: CC BY 4.0"
# Of the archives, by NSynth's set [hearbenchmark/hear-preprocess: hearpreprocess/nsynth_pitch.py].
MD5 = {
    "train": "fde6665a93865503ba598b9fac388660",
    "valid": "87e94a00a19b6dbc99cf6d4c0c0cae87",
    "test": "5e6f8719bf7e16ad0a00d518b78af77d",
}
MINI = "mteb/nsynth-mini"


def fetch(name: str, root: Path | None, parts: str, url: str, console: Console) -> None:
    """Bring a set of notes to this disk: `nsynth` to `root`, `nsynth-mini` to the hub's cache.

    Raises:
        SweeperError: no such set, or none of it by a name in `parts`, or see `download`.
    """
    if name == "nsynth-mini":
        _fetch_mini(console)
    elif name != "nsynth":
        raise SweeperError(f"nothing is known of '{name}'; fetch nsynth or nsynth-mini")
    elif root is None:
        raise SweeperError("give --data-root DIR, where the archives shall lie")
    else:
        _fetch_archives(root, _names(parts), url, console)


def _names(parts: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in parts.split(",")))
    if unknown := [name for name in names if name not in MD5]:
        raise SweeperError(f"--parts {parts}: no part '{unknown[0]}'; choose of {','.join(MD5)}")
    return names


def _fetch_archives(root: Path, names: list[str], base: str, console: Console) -> None:
    console.print(LICENCE, markup=False)
    paths = {name: root / f"nsynth-{name}.jsonwav.tar.gz" for name in names}
    missing = [name for name in names if not _there(paths[name], MD5[name], console)]
    urls = {name: f"{base.rstrip('/')}/{paths[name].name}" for name in missing}
    sizes = {name: size_of(urls[name]) for name in missing}
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SweeperError(f"cannot make {root} ({error.strerror}); check --data-root") from error
    for name in missing:
        have = bytes_of(partial_of(paths[name]))
        here = f", {have / 1e6:.1f} of them here already" if have else ""
        console.print(f"{urls[name]}: {sizes[name] / 1e6:.1f} MB{here}", markup=False)
    try:
        for name in missing:
            with data_progress(console) as progress:
                download(urls[name], paths[name], sizes[name], MD5[name], progress)
            console.print(f"{paths[name]}: whole, its md5 is the published one", markup=False)
    except KeyboardInterrupt:
        console.print(f"to go on: {_command(root, names, base)}", markup=False)
        raise
    place = shlex.quote(str(root))
    console.print(
        f"use it: sweeper launch --grid full --dataset nsynth --data-root {place}", markup=False
    )


def _there(path: Path, md5: str, console: Console) -> bool:
    """Whether the archive is there; one of that name that is another is the user's to remove."""
    if not path.exists():
        return False
    with data_progress(console) as progress:
        found = md5_of(path, progress)
    if found != md5:
        raise SweeperError(
            f"{path} is not the published archive: its md5 is {found} instead of {md5}; "
            "move it away, then fetch again"
        )
    console.print(f"{path}: there and right", markup=False)
    return True


def _command(root: Path, names: list[str], base: str) -> str:
    command = ["sweeper", "data", "fetch", "nsynth", "--data-root", str(root)]
    command += ["--parts", ",".join(names)]
    return shlex.join(command if base == BASE else [*command, "--url", base])


def _fetch_mini(console: Console) -> None:
    from models.encoders.hub import fetch as fetch_from_hub

    console.print(f"{MINI} on the Hugging Face hub: 9,005 notes, 0.89 GB. {LICENCE}")
    try:
        path = fetch_from_hub(MINI, ["*.parquet"], repo_type="dataset")
    except ValueError as error:
        raise SweeperError(str(error)) from error
    console.print(f"it is in {path}", markup=False)
    console.print(f"use it: sweeper launch --grid full --dataset nsynth --data-root {MINI}")
