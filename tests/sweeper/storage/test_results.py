"""What recovery reads: manifests by name."""

from __future__ import annotations

from pathlib import Path

from sweeper.storage.files import Storage
from sweeper.storage.results import Manifest, leave_manifest, manifest_names, remove_manifest


def test_what_a_crash_left_of_a_manifest_is_no_sweep(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    leave_manifest(storage, Manifest("a/b", {}, [], []))
    (tmp_path / "sweeps" / "other.json.partial").write_text("{")
    assert manifest_names(storage) == ["a/b"]
    remove_manifest(storage, "a/b")
    assert manifest_names(storage) == []
