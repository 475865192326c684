"""step.c compiled at its first use: by whom, where it is kept, and what is told when it is not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from models.native import build
from models.native.build import FLAGS, HERE, built, compile_by
from models.pack.runs import PackRun
from models.pack.trainer import PackTrainer
from models.spec import ModelSpec, TrainingSpec
from tests.models.conftest import make_clips

COMPILER = next(iter(build._compilers()), None)
needs_a_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler here")


@pytest.fixture
def empty_cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path))
    monkeypatch.delenv("SWEEPER_NATIVE")
    monkeypatch.delenv("CC", raising=False)
    return tmp_path / "native"


def engine() -> str:
    clips = make_clips(8, 0)
    run = PackRun(key="r", lam=1.0)
    trainer = PackTrainer(
        [run], clips, clips, ModelSpec(pool="flatten"), TrainingSpec(epochs=1, batch_pairs=4)
    )
    assert trainer.train()[0].state == "finished"
    return trainer.engine


@needs_a_compiler
def test_it_is_compiled_once_and_nothing_else_stays(empty_cache, monkeypatch):
    assert engine() == "native"
    (library,) = empty_cache.iterdir()
    build._built.cache_clear()
    monkeypatch.setattr(build, "_compilers", lambda: iter(()))  # what is there needs none
    assert built().library and [library] == list(empty_cache.iterdir())
    monkeypatch.setattr(build, "_processor", lambda: "another")
    build._built.cache_clear()
    assert built().how.startswith("no C compiler")


def test_without_a_compiler_torch_trains_and_one_line_says_why(empty_cache, monkeypatch):
    monkeypatch.setattr(build, "which", lambda name: None)
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    assert engine().startswith("torch: no C compiler: ")
    assert list(empty_cache.iterdir()) == []


@pytest.mark.parametrize(
    ("compiler", "said"),
    [
        ("no-such-compiler", "no-such-compiler does not run"),
        ("false", "false fails: exit code 1"),
        ("sh -c 'echo step.c:1: error: odd >&2; exit 2'", "fails: step.c:1: error: odd"),
        ("touch", "does not load"),
    ],
)
def test_a_compiler_that_fails_is_told_in_one_line(compiler, said, empty_cache, monkeypatch):
    monkeypatch.setenv("CC", compiler)
    monkeypatch.setattr(build, "which", lambda name: None)
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    if compiler == "touch":  # makes a file that is no library
        monkeypatch.setattr(build, "FLAGS", ())
        monkeypatch.setattr(build, "compile_by", lambda _, __, made: Path(made).touch())
    how = built().how
    assert said in how and "\n" not in how


def test_it_can_be_switched_off_and_a_cache_may_be_out_of_reach(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEPER_NATIVE", "0")
    assert built().how == "switched off by SWEEPER_NATIVE=0"
    monkeypatch.delenv("SWEEPER_NATIVE")
    (tmp_path / "file").touch()
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "file"))
    assert "cannot be written" in built().how


@needs_a_compiler
def test_no_sanitizer_finds_anything_in_the_c_code(tmp_path):
    flags = [flag for flag in FLAGS if flag not in ("-O3", "-shared", "-fPIC")]
    sanitizers = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    program, empty = str(tmp_path / "driver"), tmp_path / "empty.c"
    empty.write_text("int main(void) { return 0; }")
    if compile_by(COMPILER, [*sanitizers, str(empty)], program):
        pytest.skip("the compiler has no sanitizers")
    driver = Path(__file__).with_name("driver.c")
    fault = compile_by(COMPILER, [*flags, *sanitizers, f"-I{HERE}", str(driver), "-lm"], program)
    assert fault is None
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([program], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["58", "trainings"]
