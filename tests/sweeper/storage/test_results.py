"""What recovery reads: manifests by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeper.errors import SweeperError
from sweeper.storage.files import Storage
from sweeper.storage.results import (
    Manifest,
    leave_manifest,
    manifest_names,
    read_manifest,
    remove_manifest,
)


def test_what_a_crash_left_of_a_manifest_is_no_sweep(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    leave_manifest(storage, Manifest("a/b", {}, [], []))
    (tmp_path / "sweeps" / "other.json.partial").write_text("{")
    assert manifest_names(storage) == ["a/b"]
    remove_manifest(storage, "a/b")
    assert manifest_names(storage) == []


def test_the_longest_name_of_any_alphabet_has_a_manifest(tmp_path: Path) -> None:
    storage, names = Storage(str(tmp_path)), ["a", "音" * 100, "💿" * 100, "0" * 64]
    for name in names:
        leave_manifest(storage, Manifest(name, {"of": name}, [], []))
    assert sorted(manifest_names(storage)) == sorted(names)
    assert [read_manifest(storage, name).options["of"] for name in names] == names
    for file in (tmp_path / "sweeps").iterdir():
        file.write_text("{")
    for name in manifest_names(storage):
        with pytest.raises(SweeperError, match="damaged"):
            read_manifest(storage, name)
    for name in names:
        remove_manifest(storage, name)
    assert manifest_names(storage) == []
