"""Which kind of file system a path is on: SQLite's WAL needs one of this machine."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")

_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|afs|lustre|gpfs|beegfs|ceph|glusterfs|orangefs|pvfs2|panfs|wekafs"
    r"|fuse\.(sshfs|glusterfs|ceph|s3fs|gcsfuse|juicefs|rclone|cvmfs|weka|beegfs|lustre).*"
)


def network_type(path: Path) -> str | None:
    """The type of the network file system that holds `path`, or None on a local one."""
    kind = _type_of(path.resolve())
    return kind if kind and _NETWORK.fullmatch(kind) else None


def _type_of(path: Path) -> str | None:
    """The type of the innermost mount above `path`; None where there is no such list."""
    try:
        lines = MOUNTS.read_text().splitlines()
    except OSError:
        return None
    mounts = {_unescaped(fields[1]): fields[2] for line in lines if len(fields := line.split()) > 2}
    return next((mounts[str(p)] for p in (path, *path.parents) if str(p) in mounts), None)


def _unescaped(mount: str) -> str:
    """Mount points have spaces and the like as octal numbers."""
    return re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), mount)
