from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sweeper.data.notes import soundfont
from sweeper.errors import SweeperError


def test_the_packaged_soundfont_has_every_general_midi_program() -> None:
    assert soundfont.programs(soundfont.load()) == set(range(128))


def test_finding_the_soundfont_does_not_import_its_package() -> None:
    code = "import sys; from sweeper.data.notes import soundfont; soundfont.load(); "
    code += "sys.exit('pretty_midi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_drying_silences_the_sends_centres_every_region_and_touches_nothing_else() -> None:
    wet = soundfont.load()
    dry = soundfont.dry(wet)
    expected = bytearray(wet)
    for name in (b"pgen", b"igen"):
        where = soundfont._tables(wet)[name]
        for at in range(where.start, where.stop, 4):
            if int.from_bytes(wet[at : at + 2], "little") in (15, 16, 17):
                expected[at + 2 : at + 4] = b"\0\0"
    assert dry == expected != wet


def test_a_missing_soundfont_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SweeperError, match=r"^cannot read the SoundFont .*none.sf2: No such file"):
        soundfont.load(tmp_path / "none.sf2")


@pytest.mark.parametrize(
    "broken",
    [b"", b"RIFF", b"not a SoundFont at all", b"RIFF\x00\x00\x00\x00sfbk", b"RIFF0000sfbkLIST\xff"],
)
def test_a_broken_soundfont_is_one_clear_line(broken: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken.sf2").write_bytes(broken)
    with pytest.raises(SweeperError, match=r"no usable SoundFont 2 file \(.+\); give another$"):
        soundfont.load(tmp_path / "broken.sf2")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_a_soundfont_cut_short_is_one_clear_line(share: float, tmp_path: Path) -> None:
    font = soundfont.load()
    (tmp_path / "cut.sf2").write_bytes(font[: int(share * len(font))])
    with pytest.raises(SweeperError, match="no usable SoundFont 2 file"):
        soundfont.load(tmp_path / "cut.sf2")


def test_the_environment_names_another_soundfont(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    font = soundfont.load() + b"\0" * 8  # an empty chunk more
    (tmp_path / "own.sf2").write_bytes(font)
    monkeypatch.setenv("SWEEPER_SOUNDFONT", str(tmp_path / "own.sf2"))
    assert soundfont.load() == font
