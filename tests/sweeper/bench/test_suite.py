"""The command as a whole, at sizes that say nothing about speed."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from models.native.engine import has_bf16
from sweeper.bench import cold_start, equivalence
from sweeper.bench import render as show
from sweeper.bench import suite as bench
from sweeper.bench.equivalence import Fidelity
from sweeper.bench.scaling import Axes
from sweeper.bench.suite import Settings, choose_device
from sweeper.errors import SweeperError

TINY = Settings(
    runs=6,
    tokens=2,
    features=8,
    steps=2,
    blocks=2,
    window=0.0,
    axes=Axes(
        packs=(1, 2),
        tokens=(1, 2),
        runs=(2, 4),
        clips=(32, 64),
        epochs_trained=(1, 2),
        equal_pack=2,
        steps=2,
        epochs=1,
    ),
    ceiling_repeats=1,
    probe_clips=64,
    probe_epochs=1,
    probe_runs=1,
    encoding=(1, 1),
)
NUMBERS = {"median": float, "low": float, "high": float}
SCHEMA = {
    "ratios": dict.fromkeys(
        ("torch", "b0", "b0_per_core", "b1", "b1_per_core", "vmap", *["bf16"] * has_bf16()), NUMBERS
    ),
    "gemm_share": float,
    "gemm_share_interval": list,
    "peak_share": (float, type(None)),
    "peak_share_interval": (list, type(None)),
    "machine": {
        "cpu": str,
        "cores": int,
        "torch": str,
        "threads": int,
        "device": str,
        "engine": str,
    },
    "shape": {"runs": int, "packs": list, "flops_per_run_step": int, "flops_formula": str},
    "fidelity": {"runs": int, "gradient": float, "losses": {"10": float, "100": float}},
    "arms": {"ours": {"ms_per_run_step": float, "gflops": float, "blocks": list}},
    "ceilings": dict.fromkeys(
        ("products_gflops", "square_gflops", "square_gflops_one_core", "copy_gb_s"), float
    ),
    "scaling": {"pack": list, "tokens": list, "runs": list, "clips": list, "epochs": list},
    "probes": {"seconds_per_run_paper": float, "seconds_per_run_quick": float},
    "encoding": {"share": float, "clips_per_second": float, "encoder_rate": float},
    "end_to_end": {
        "seconds": float,
        "peak_bytes": (int, type(None)),
        "parts": {part: {"seconds": float, "share": float} for part in cold_start.PARTS},
    },
    "seconds": float,
}


def assert_fits(document, schema, path="report"):
    for name, kind in schema.items():
        if isinstance(kind, dict):
            assert_fits(document[name], kind, f"{path}.{name}")
        else:
            assert isinstance(document[name], kind), f"{path}.{name} is {document[name]!r}"


@pytest.fixture
def tiny(monkeypatch):
    """The quick bench at tiny sizes, its sweep replaced by a made-up one."""
    parts = cold_start.shares(dict.fromkeys(cold_start.PARTS, 1.0))
    made_up = {"preset": None, "runs": 4, "peak_bytes": 10**9, **parts}
    monkeypatch.setattr(show, "QUICK", TINY)
    monkeypatch.setattr(cold_start, "measure", lambda clips, preset: made_up | {"preset": preset})


def console():
    return Console(file=io.StringIO(), width=80)


def test_the_quick_bench_prints_one_json_object_of_its_schema_and_a_table_of_it(tiny, capsys):
    show.run(quick=True, as_json=True, device="cpu", console=console())
    report = json.loads(capsys.readouterr().out)
    assert_fits(report, SCHEMA)
    assert set(report["ratios"]) == set(SCHEMA["ratios"])
    for ratio in report["ratios"].values():
        assert 0 < ratio["low"] <= ratio["median"] <= ratio["high"]
    assert sum(report["shape"]["packs"]) == report["shape"]["runs"] == 6
    assert [row["runs"] for row in report["scaling"]["runs"]] == [2, 4]
    screen = console()
    screen.print(show.rendered(report))
    text = screen.file.getvalue()
    for words in (
        *(show.BASELINES[name] for name in report["ratios"]),
        "✓ same results",
        "clips/s",
    ):
        assert words in text


def test_no_timing_is_shown_when_the_engine_is_wrong(tiny, monkeypatch, capsys):
    class WrongWorkers:
        """Workers that find other gradients than the reference's, and time nothing."""

        def __init__(self, cores, threads):
            self.size = len(cores)

        def __enter__(self):
            return self

        def __exit__(self, *_error):
            pass

        def __len__(self):
            return self.size

        def deal(self, order, arguments):
            assert order is equivalence.examine, "nothing is timed before the gate has opened"
            return [Fidelity(runs=1, gradient=1e-3, losses={10: 0.0, 100: 0.0})] * self.size

    monkeypatch.setattr(bench, "Workers", WrongWorkers)
    screen = console()
    with pytest.raises(SweeperError, match="differs from the plain loop"):
        show.run(quick=True, as_json=False, device="cpu", console=screen)
    assert "×" not in screen.file.getvalue() + capsys.readouterr().out


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setattr(bench.torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    with pytest.raises(SweeperError, match="no GPU here"):
        choose_device("cuda")
