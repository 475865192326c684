"""The list of encoders: every one of the registry, and which can be used here."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.encoders import ENCODERS, PRETRAINED
from sweeper.commands.encoders import at_hand, is_at_hand, listed
from tests.sweeper.cli.conftest import Sweeper, sweeper

__all__ = ["sweeper"]

NAME = "someone/model"


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path


def download(hub: Path, *files: str) -> None:
    """What the hub's cache looks like after a download of these files."""
    repository = hub / "models--someone--model"
    snapshot = repository / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    for file in files:
        (snapshot / file).write_bytes(b"")


def test_the_list_has_a_row_for_every_encoder(sweeper: Sweeper) -> None:
    code, out, _ = sweeper("encoders", "list")
    assert code == 0
    names = [line.split()[0] for line in out.splitlines()[1:-1]]
    assert names == [*ENCODERS, *PRETRAINED]
    rows = dict(zip(names, out.splitlines()[1:-1], strict=True))
    assert "8 × 128" in rows["logmel"] and " yes " in rows["logmel"]
    assert "gaunernst/vit_base_patch16_1024_128.audiomae_as2m" in rows["audiomae"]
    assert " download " in rows["audiomae"] and "name a model" in rows["hf"]


def test_what_needs_no_download_is_at_hand() -> None:
    assert "logmel" in at_hand()
    assert not {"audiomae", "dac", "hf"} & set(at_hand())


@pytest.mark.parametrize(
    ("files", "expected"),
    [((), False), (("config.json",), False), (("config.json", "model.safetensors"), True)],
)
def test_a_repository_is_at_hand_once_its_weights_are(
    hub: Path, files: tuple[str, ...], expected: bool
) -> None:
    assert not is_at_hand(NAME)
    download(hub, *files)
    assert is_at_hand(NAME) is expected


def test_a_path_is_at_hand_when_it_exists(tmp_path: Path) -> None:
    assert is_at_hand(str(tmp_path))
    assert not is_at_hand(str(tmp_path / "not a name"))


def test_an_encoder_tells_which_package_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    [logmel] = [encoder for encoder in listed() if encoder.name == "logmel"]
    monkeypatch.setattr(logmel.cls, "requires", ("no_such_package",), raising=False)
    assert logmel.missing == "needs no_such_package"
