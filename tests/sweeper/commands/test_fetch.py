"""`sweeper data fetch` against servers on this machine, well and badly behaved."""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from sweeper.cli.app import app
from sweeper.commands import fetch
from sweeper.data.nsynth import download
from sweeper.errors import SweeperError

ARCHIVES = {
    f"nsynth-{part}.jsonwav.tar.gz": np.random.default_rng(seed).bytes(size)
    for seed, (part, size) in enumerate({"train": 3_000_000, "test": 700_000}.items())
}
TRAIN, TEST = ARCHIVES


class Server(ThreadingHTTPServer):
    """Serves ARCHIVES at /; counts the bytes of each."""

    ranges = True
    cut_after: int | None = None  # bytes of an answer, whatever was promised
    cuts = 10**9  # answers that are cut
    more = 0  # bytes that follow what was announced
    length: str | None = None  # announced instead of the right one

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = dict(ARCHIVES)
        self.served = dict.fromkeys(ARCHIVES, 0)

    def handle_error(self, *_: object) -> None:
        """A client that goes away is no fault of the server."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/notes"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._head()

    def do_GET(self) -> None:
        body = self._head()
        if self.server.cut_after is not None and self.server.cuts > 0:
            self.server.cuts -= 1
            body = body[: self.server.cut_after]
        self.server.served[self._name] += len(body)
        self.wfile.write(body)
        for _ in range(self.server.more // 1_000_000):
            self.wfile.write(bytes(1_000_000))
            self.server.served[self._name] += 1_000_000

    @property
    def _name(self) -> str:
        return self.path.rpartition("/")[2]

    def _head(self) -> bytes:
        body = self.server.files.get(self._name)
        if body is None:
            self.send_error(404)
            return b""
        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if start and self.server.ranges:
            body = body[int(start[1]) :]
        self.send_response(206 if start and self.server.ranges else 200)
        if self.command == "HEAD" or not self.server.more:
            self.send_header("Content-Length", self.server.length or str(len(body)))
        self.end_headers()
        return body


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    md5 = {
        name.split("-")[1].split(".")[0]: hashlib.md5(body).hexdigest()
        for name, body in ARCHIVES.items()
    }
    monkeypatch.setattr(fetch, "MD5", md5)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(server: Server, root: Path, *options: str) -> str:
    command = ["data", "fetch", "nsynth", "--data-root", str(root), "--url", server.url, *options]
    result = CliRunner().invoke(app, command, catch_exceptions=True)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def bring(server: Server, root: Path, progress: download.Progress = lambda *_: None) -> None:
    """The training archive."""
    body = ARCHIVES[TRAIN]
    md5 = hashlib.md5(body).hexdigest()
    download.download(f"{server.url}/{TRAIN}", root / TRAIN, len(body), md5, progress)


def holds(root: Path, *names: str) -> bool:
    """These archives, whole, and nothing else."""
    found = {path.name: path.read_bytes() for path in root.iterdir()}
    return found == {name: ARCHIVES[name] for name in names}


def test_both_archives_come_and_size_and_licence_are_said_first(
    server: Server, tmp_path: Path
) -> None:
    said = run(server, tmp_path / "new")
    assert holds(tmp_path / "new", TRAIN, TEST)
    assert said.index("CC BY 4.0") < said.index(f"{server.url}/{TRAIN}: 3.0 MB")
    assert said.index(f"{TEST}: 0.7 MB") < said.index("its md5 is the published one")


def test_what_is_there_and_right_is_not_downloaded_again(server: Server, tmp_path: Path) -> None:
    run(server, tmp_path, "--parts", "test")
    said = run(server, tmp_path)
    assert f"{TEST}: there and right" in said
    assert server.served == {TRAIN: 3_000_000, TEST: 700_000}
    server.server_close()  # all is here: no server is needed
    assert f"{TRAIN}: there and right" in run(server, tmp_path)


def test_a_connection_that_breaks_is_taken_up_where_it_broke(
    server: Server, tmp_path: Path
) -> None:
    server.cut_after = 1_100_000
    run(server, tmp_path)
    assert holds(tmp_path, TRAIN, TEST)
    assert server.served[TRAIN] == 3_000_000


def test_a_server_without_ranges_is_read_from_the_start(server: Server, tmp_path: Path) -> None:
    server.ranges, server.cut_after, server.cuts = False, 1_000_000, 1
    run(server, tmp_path, "--parts", "train")
    assert holds(tmp_path, TRAIN)
    assert server.served[TRAIN] == 4_000_000


def test_a_connection_that_brings_nothing_more_ends_in_one_line_and_keeps_what_came(
    server: Server, tmp_path: Path
) -> None:
    server.cut_after, server.cuts = 0, 10**9
    (tmp_path / f"{TRAIN}.partial").write_bytes(ARCHIVES[TRAIN][:1_000])
    with pytest.raises(SweeperError, match=r"broke off at 1000 of 3000000 bytes .* goes on from"):
        run(server, tmp_path)
    assert (tmp_path / f"{TRAIN}.partial").stat().st_size == 1_000


def test_an_interrupted_download_goes_on_and_brings_only_the_rest(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from rich.console import Console

    server.cut_after, server.cuts = 1_500_000, 1
    real = download._stream

    def interrupted(*args: object) -> None:
        real(*args)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(download, "_stream", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch.fetch("nsynth", tmp_path, "train", server.url, Console(soft_wrap=True))
    command = f"sweeper data fetch nsynth --data-root {tmp_path} --parts train --url {server.url}"
    assert f"to go on: {command}" in capsys.readouterr().out
    assert not (tmp_path / TRAIN).exists()
    assert "3.0 MB, 1.5 of them here already" in run(server, tmp_path, "--parts", "train")
    assert holds(tmp_path, TRAIN)
    assert server.served[TRAIN] == 3_000_000


def test_a_partial_file_that_is_whole_is_checked_and_not_asked_for(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / f"{TRAIN}.partial").write_bytes(ARCHIVES[TRAIN])
    bring(server, tmp_path)
    assert holds(tmp_path, TRAIN)
    assert server.served[TRAIN] == 0


@pytest.mark.parametrize("left", [1_000, 5_000_000])
def test_bytes_with_another_checksum_never_get_the_name_and_the_next_call_is_right(
    server: Server, tmp_path: Path, left: int
) -> None:
    (tmp_path / f"{TRAIN}.partial").write_bytes(bytes(left))  # of another file
    if left < 3_000_000:
        with pytest.raises(SweeperError, match=r"and not the published .* was deleted; download"):
            bring(server, tmp_path)
        assert not list(tmp_path.glob(f"{TRAIN}*"))
    bring(server, tmp_path)
    assert holds(tmp_path, TRAIN)


def test_a_file_of_the_name_that_is_another_is_left_alone(server: Server, tmp_path: Path) -> None:
    (tmp_path / TRAIN).write_bytes(b"mine")
    with pytest.raises(SweeperError, match=rf"{TRAIN} is not the published archive.*move it away"):
        run(server, tmp_path)
    assert (tmp_path / TRAIN).read_bytes() == b"mine"


def test_a_full_disk_is_seen_before_and_while_writing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        usage = shutil.disk_usage(tmp_path)._replace(free=2_000_000)
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(SweeperError, match=r"room for 0.00 GB more, .* needs 0.00 GB; free"):
            bring(server, tmp_path)
    assert server.served[TRAIN] == 0
    with monkeypatch.context() as patch:
        import resource
        import signal

        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        patch.setattr(download, "BLOCK", 100_000)
        old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_234_567, before[1]))
        try:
            with pytest.raises(SweeperError, match=rf"cannot write .*{TRAIN}.partial \(File too"):
                bring(server, tmp_path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, old)
    assert (tmp_path / f"{TRAIN}.partial").read_bytes() == ARCHIVES[TRAIN][:1_234_567]
    bring(server, tmp_path)
    assert holds(tmp_path, TRAIN)


def test_two_downloads_of_one_file_do_not_write_over_each_other(
    server: Server, tmp_path: Path
) -> None:
    tried = []

    def second(*_: object) -> None:
        if not tried:
            tried.append(1)
            with pytest.raises(SweeperError, match=rf"another process is downloading {TRAIN}$"):
                bring(server, tmp_path)

    bring(server, tmp_path, second)
    assert tried
    assert holds(tmp_path, TRAIN)


def test_a_missing_file_and_a_server_that_is_not_there_are_one_line(
    server: Server, tmp_path: Path
) -> None:
    del server.files[TEST]
    with pytest.raises(SweeperError, match=rf"{TEST}: the server answers 404 .*; check --url"):
        run(server, tmp_path)
    assert server.served[TRAIN] == 0  # nothing was begun
    server.shutdown()
    server.server_close()
    with pytest.raises(SweeperError, match=r"cannot reach http.*refused.*connect to the internet"):
        run(server, tmp_path)


def test_no_more_is_written_than_was_announced(server: Server, tmp_path: Path) -> None:
    server.more = 50_000_000_000
    largest = 0

    def progress(*_: object) -> None:
        nonlocal largest
        largest = max([largest, *(path.stat().st_size for path in tmp_path.iterdir())])

    bring(server, tmp_path, progress)
    assert holds(tmp_path, TRAIN) and largest == 3_000_000
    assert server.served[TRAIN] < 100_000_000  # the connection is closed then
    (tmp_path / TRAIN).unlink()
    server.files[TRAIN] = server.files[TRAIN][:-1]  # and what follows takes the last byte's place
    with pytest.raises(SweeperError, match=r"came with the md5 .* and was deleted"):
        bring(server, tmp_path, progress)
    assert largest == 3_000_000 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("length", ["abc", "-1", "0", "1e6", "9" * 5_000, "१२", " "])
def test_a_size_that_is_none_is_one_line(server: Server, tmp_path: Path, length: str) -> None:
    server.length = length.encode().decode("latin-1")
    with pytest.raises(SweeperError, match=r"the server does not say the size; choose another"):
        run(server, tmp_path)
    assert server.served[TRAIN] == 0


@pytest.mark.parametrize("dangling", [True, False])
def test_a_link_where_the_file_is_written_is_not_followed(
    server: Server, tmp_path: Path, dangling: bool
) -> None:
    (theirs := tmp_path / "theirs").write_bytes(b"of another user")
    (root := tmp_path / "root").mkdir()
    partial = root / f"{TRAIN}.partial"
    partial.symlink_to(tmp_path / "nothing" if dangling else theirs)
    with pytest.raises(SweeperError, match=r"partial is a link; remove it, then fetch again$"):
        bring(server, root)
    assert not (tmp_path / "nothing").exists() and theirs.read_bytes() == b"of another user"
    partial.unlink()
    bring(server, root)
    assert holds(root, TRAIN)


def test_a_link_that_appears_meanwhile_is_not_followed_either(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (theirs := tmp_path / "theirs").write_bytes(b"of another user")
    partial = tmp_path / f"{TRAIN}.partial"
    real = download._stream

    def linked(*args: object) -> Exception | None:
        partial.symlink_to(theirs)
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(download, "_stream", linked)
    with pytest.raises(SweeperError, match=r"cannot write .*partial \(Too many levels"):
        bring(server, tmp_path)
    assert theirs.read_bytes() == b"of another user"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["nsynth"], "give --data-root DIR"),
        (["nsynth", "--data-root", ".", "--parts", "train,dev"], "no part 'dev'; choose of train"),
        (["musdb"], "nothing is known of 'musdb'; fetch nsynth or nsynth-mini"),
        (["nsynth", "--data-root", ".", "--url", "nowhere"], "cannot reach nowhere/nsynth-train"),
    ],
)
def test_a_bad_option_is_one_line(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["data", "fetch", *options])
    assert isinstance(result.exception, SweeperError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)


def test_the_small_mirror_offline_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SweeperError, match=r"mteb/nsynth-mini is neither on this disk nor to be"):
        result = CliRunner().invoke(app, ["data", "fetch", "nsynth-mini"])
        raise result.exception or AssertionError(result.output)
