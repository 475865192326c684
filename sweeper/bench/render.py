"""The report as text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from sweeper.bench.suite import FULL, QUICK, choose_device, measure

Report = dict[str, Any]

BASELINES = {
    "torch": "the same packs, steps by torch",
    "bf16": "the same packs, products in bf16",
    "b0": "plain loop, one run at a time",
    "b0_per_core": "plain loop, one process a core",
    "b1": "tuned loop, one run at a time",
    "b1_per_core": "tuned loop, one process a core",
    "vmap": "vmap, one process a core",
    "b2": "one run, its step a CUDA graph",
}


def run(
    *, quick: bool, as_json: bool, device: str, console: Console, preset: str | None = None
) -> None:
    """Measures and prints; with `as_json` one JSON object and nothing else."""
    settings, device = QUICK if quick else FULL, choose_device(device)
    with _progress(Console(stderr=True)) as tell:
        report = measure(settings, device, tell, preset)
    if as_json:
        print(json.dumps(report, indent=2, allow_nan=False))
    else:
        console.print(rendered(report))


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str], None]]:
    """Says what is measured: one line that changes, or lines where there is no terminal."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield lambda line: console.print(f"bench: {line}", markup=False)
        return
    with console.status("starting") as status:
        yield status.update


def rendered(report: Report) -> RenderableType:
    return Group(
        *_heading(report),
        _comparison(report),
        *_ceilings(report),
        *_scaling(report["scaling"]),
        _encoding(report["encoding"]),
        _sweep(report),
        Text(f"measured in {report['seconds']:.0f} s", style="dim"),
    )


def _heading(report: Report) -> list[Text]:
    machine, shape, held = report["machine"], report["shape"], report["fidelity"]
    packs = ", ".join(map(str, shape["packs"]))
    device = "" if machine["device"] == "cpu" else f" · {machine['device']}"
    last = max(held["losses"], key=int)
    return [
        Text(
            f"{machine['cpu']}, {machine['cores']} cores{device} · torch {machine['torch']} · "
            f"our steps: {machine['engine']}"
        ),
        Text(
            f"{shape['runs']} runs in packs of {packs} · {shape['tokens']} frames × "
            f"{shape['features']} bands, {shape['rows']} rows a step",
            style="dim",
        ),
        Text(
            f"✓ same results: gradients within {held['gradient']:.0e} of float64, "
            f"losses within {held['losses'][last]:.0e} at step {last}",
            style="green",
        ),
    ]


def _comparison(report: Report) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("", no_wrap=True)
    for heading in ("ms a run-step", "GFLOP/s", "we are", "95 %"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_row(*_pace("[bold]sweeper, one process a core[/bold]", report["arms"]["ours"]))
    for name, ratio in report["ratios"].items():
        times = f"[bold]{ratio['median']:.2f}×[/bold]"
        span = f"[dim]{ratio['low']:.2f}–{ratio['high']:.2f}[/dim]"
        table.add_row(*_pace(BASELINES[name], report["arms"][name]), times, span)
    return table


def _pace(name: str, arm: Report) -> tuple[str, str, str]:
    return name, f"{arm['ms_per_run_step']:.2f}", f"{arm['gflops']:.0f}"


def _ceilings(report: Report) -> list[Text]:
    found = report["ceilings"]
    shares = [("of the speed of torch's bare products", "gemm_share", found["products_gflops"])]
    if report["peak_share"] is not None:
        peak = report["arms"]["peak"]["gflops"]
        shares.insert(0, ("of the cores' multiply-add peak", "peak_share", peak))
    return [
        *(
            Text(
                f"{report[key]:.0%} ({report[f'{key}_interval'][0]:.0%} – "
                f"{report[f'{key}_interval'][1]:.0%}) {what}, {rate:.0f} GFLOP/s",
                style="bold",
            )
            for what, key, rate in shares
        ),
        Text(
            f"large products {found['square_gflops']:.0f} GFLOP/s "
            f"({found['square_gflops_one_core']:.0f} on one core), "
            f"copying {found['copy_gb_s']:.0f} GB/s ({found['copy_gb_s_one_core']:.0f})",
            style="dim",
        ),
    ]


def _scaling(tables: Report) -> list[RenderableType]:
    """One line an axis: each value over its milliseconds."""
    table = Table(box=None, padding=(0, 2), show_header=False)
    for axis, rows in tables.items():
        name = {"pack": "runs a pack", "tokens": "frames", "runs": "runs in all"}.get(axis, axis)
        table.add_row(f"[dim]{name}[/dim]", *(f"[dim]{row[axis]}[/dim]" for row in rows))
        table.add_row("ms a run-step", *(f"{row['ms_per_run_step']:.2f}" for row in rows))
    return [Text("scaling", style="bold"), table]


def _encoding(found: Report) -> Text:
    return Text(
        f"encoding from wav files to latents: {found['clips_per_second']:.1f} clips/s, "
        f"{found['share']:.0%} of the rate of the network alone"
    )


def _sweep(report: Report) -> RenderableType:
    whole, probes = report["end_to_end"], report["probes"]
    peak = whole["peak_bytes"]
    line = f"a sweep of {whole['runs']} small runs from nothing: {whole['seconds']:.0f} s"
    if preset := whole["preset"]:
        minutes = whole["seconds"] / 60
        line = f"the {preset} preset, {whole['runs']} runs from nothing: {minutes:.1f} minutes"
    if peak:
        line += f", all its processes at most {peak / 1e9:.1f} GB at once"
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for name in whole["parts"]:
        table.add_column(name, justify="right")
    table.add_row(*(f"{part['seconds']:.1f} s" for part in whole["parts"].values()))
    table.add_row(*(f"[dim]{part['share']:.0%}[/dim]" for part in whole["parts"].values()))
    return Group(
        Text(
            f"probes of a run: {probes['seconds_per_run_paper']:.1f} s in the paper preset, "
            f"{probes['seconds_per_run_quick']:.1f} s in the quick one"
        ),
        Text(line),
        table,
    )
