from __future__ import annotations

from pathlib import Path

import pytest

from sweeper.data.latents import prepare
from sweeper.data.notes import soundfont
from sweeper.study.config import DataConfig

TINY = DataConfig(train_clips=40, valid_clips=20, downstream_clips=40)


@pytest.fixture(scope="session")
def dry_font() -> bytes:
    return soundfont.dry(soundfont.load())


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds the latents of TINY; to be read or copied, never changed."""
    root = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWEEPER_CACHE", str(root))
        prepare(TINY, workers=1)
    return root


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SWEEPER_SOUNDFONT", raising=False)
    return tmp_path / "cache"
