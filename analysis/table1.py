"""Table 1: margins and overall accuracies of the selected configuration and the baselines."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import pandas as pd

from analysis.configurations import RECONSTRUCTION_ONLY
from analysis.estimates import configurations, with_edges
from analysis.factors import PAPER as FACTORS
from analysis.factors import Factors, tasks_of
from analysis.markdown import markdown_table, mean_and_spread, number
from analysis.selection import PAPER_SELECTION, select
from analysis.trainings import VARIED, Trainings

_SHORT = {"instrument": "inst."}
CL = "cl-"
# Table 1 of the paper, in the order of `measures`; NaN where it has a dash.
_NONE = float("nan")
PAPER = {
    PAPER_SELECTION: (0.10, 0.71, 0.17, 0.94),
    RECONSTRUCTION_ONLY: (0.00, 0.70, 0.01, 0.95),
    "cl-pitch": (_NONE, 0.65, _NONE, 0.35),
    "cl-instrument": (_NONE, 0.14, _NONE, 0.81),
    "encoder": (_NONE, 0.67, _NONE, 0.91),
}


def measures(tasks: Iterable[str]) -> dict[str, str]:
    """Measure → head of its column."""
    heads: dict[str, str] = {}
    for task in tasks:
        short = _SHORT.get(task, task)
        heads |= {f"delta_{task}": f"Δ {short}", f"{task}_overall": f"{short.capitalize()} overall"}
    return heads


def _methods(trainings: Trainings) -> dict[str, str]:
    """Name → as the table has it; of another study than the paper's, the baselines it holds."""
    tasks: Iterable[str] = trainings.factors.tasks
    if trainings.factors != FACTORS:
        tasks = [task for task in tasks if f"{CL}{task}" in set(trainings.points["name"])]
    return {
        RECONSTRUCTION_ONLY: "Multi-view (L_rec)",
        **{f"{CL}{task}": f"CL-{task.capitalize()} (InfoNCE)" for task in tasks},
        "encoder": "Frozen encoder",
    }


def data(trainings: Trainings, paper: bool = False) -> pd.DataFrame:
    """One row a method: `name`, `method`, `chosen`, `seeds`, means, intervals, `rule`.

    In the paper's study its selection has a row whether or not the rule chose it too. A method
    without a finished run has 0 seeds and NaN. `paper` adds the paper's numbers as `paper_…`.
    """
    table = configurations(trainings)
    selection = select(table)
    selected = [selection.name] if selection else []
    methods = _methods(trainings)
    chosen_there = [PAPER_SELECTION] if trainings.factors == FACTORS else []
    names = list(dict.fromkeys([*selected, *chosen_there, *methods]))
    rows = table.set_index("name").reindex(names).reset_index()
    rows["method"] = [methods.get(name, f"Multi-view (L_rec + L_dis), {name}") for name in names]
    rows["chosen"] = rows["name"].isin(selected)
    rows["rule"] = selection.rule if selection else ""
    rows["seeds"] = rows["seeds"].fillna(0).astype(int)
    if not rows["seeds"].any():
        raise ValueError("Table 1 has no finished run to show; go on with `sweeper resume`")
    heads = measures(trainings.factors.tasks)
    kept = rows[["name", "method", "chosen", "seeds", *with_edges(heads), "rule"]]
    return kept.join(_paper(names)) if paper and trainings.factors == FACTORS else kept


def _paper(names: list[str]) -> pd.DataFrame:
    heads = measures(FACTORS.tasks)
    numbers = [PAPER.get(name, (_NONE,) * len(heads)) for name in names]
    return pd.DataFrame(numbers, columns=[f"paper_{name}" for name in heads])


def caption(table: pd.DataFrame, basis: str, factors: Factors = FACTORS) -> str:
    """What the numbers are, how the first row was selected, and what the intervals rest on."""
    chosen = table[table["chosen"]]
    rule = "No configuration could be chosen yet."
    if len(chosen):
        rule = f"{chosen['name'].iloc[0]} was chosen by this rule: {chosen['rule'].iloc[0]}."
    papers = f"{PAPER_SELECTION} is the paper's choice. " * (factors == FACTORS)
    others = "the task" if len(tasks_of(table)) == 2 else "tasks"
    return (
        "Table 1. Test accuracy of linear probes on z_p ⊕ z_s (overall), and margins Δ between "
        f"the subspaces. {rule} {papers}In brackets: {others} "
        "that the pairs were not chosen for. Bold: the best of a column as printed. "
        "±: half of the 95 % interval; n: seeds. "
        + ("In square brackets: the paper's numbers. " if "paper_delta_pitch" in table else "")
        + f"{basis} {VARIED}"
    )


def cells(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text: one row a method, one column a measure, and how many seeds there are."""
    columns = {head: _column(table, measure) for measure, head in measures(tasks_of(table)).items()}
    return pd.DataFrame({"Method": table["method"], **columns, "n": table["seeds"].astype(str)})


def _column(table: pd.DataFrame, measure: str) -> list[str]:
    own = [not _is_of_other_task(name, measure) for name in table["name"]]
    best = table.loc[own, measure].max()
    return [_cell(row, measure, number(best)) for _, row in table.iterrows()]


def _is_of_other_task(name: str, measure: str) -> bool:
    """Whether the pairs of a CL baseline were not chosen for the task."""
    return name.startswith(CL) and measure != f"{name.removeprefix(CL)}_overall"


def _cell(row: pd.Series, measure: str, best: str) -> str:
    """`**0.71 ± 0.01** [0.71]`: bold if the best, in brackets if of the other task, the paper's."""
    value, paper = row[measure], row.get(f"paper_{measure}", _NONE)
    has_margins = row["name"] != "encoder" and not row["name"].startswith(CL)
    text = mean_and_spread(value, (row[f"{measure}_high"] - row[f"{measure}_low"]) / 2)
    if row["seeds"] == 0 and (has_margins or measure.endswith("_overall")):
        text = "not finished"
    elif not math.isnan(value):
        other_task = _is_of_other_task(row["name"], measure)
        text = f"({text})" if other_task else f"**{text}**" if number(value) == best else text
    return text if math.isnan(paper) else f"{text} [{number(paper)}]"


def markdown(table: pd.DataFrame, basis: str, factors: Factors = FACTORS) -> str:
    return f"{markdown_table(cells(table), rule='---:')}\n\n{caption(table, basis, factors)}\n"


def latex(table: pd.DataFrame, basis: str, foot: str, factors: Factors = FACTORS) -> str:
    """A table for the booktabs package."""
    rows = [" & ".join(map(_latex, line)) + r" \\" for line in cells(table).to_numpy().tolist()]
    described = caption(table, basis, factors).removeprefix(
        "Table 1. "
    )  # LaTeX numbers its tables itself
    tasks, pair = tasks_of(table), r" & $\Delta$ & Overall"
    heads = "".join(rf" & \multicolumn{{2}}{{c}}{{{task.capitalize()}}}" for task in tasks)
    rules = (rf"\cmidrule(lr){{{2 * i + 2}-{2 * i + 3}}}" for i in range(len(tasks)))
    return "\n".join([
        r"\begin{table}", r"\centering", rf"\caption{{{_latex(f'{described} {foot}')}}}",
        rf"\begin{{tabular}}{{l{'rr' * len(tasks)}r}}", r"\toprule",
        rf"{heads} & \\", " ".join(rules),
        f"Method{pair * len(tasks)} " r"& $n$ \\", r"\midrule",
        *rows, r"\bottomrule", r"\end{tabular}", r"\end{table}", "",
    ])  # fmt: skip


_SYMBOLS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "#": r"\#", "$": r"\$", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "_": r"\_",
    "L_rec": r"$\mathcal{L}_{\mathrm{rec}}$", "L_dis": r"$\mathcal{L}_{\mathrm{dis}}$",
    "z_p": "$z_p$", "z_s": "$z_s$", "Δ": r"$\Delta$", "λ": r"$\lambda$", "±": r"$\pm$",
    "−": "$-$", "≥": r"$\geq$", "⊕": r"$\oplus$", "×": r"$\times$", "·": r"$\cdot$",
    "<": "$<$", "–": "--",
}  # fmt: skip
_ANY_SYMBOL = re.compile("|".join(re.escape(s) for s in sorted(_SYMBOLS, key=len, reverse=True)))


def _latex(text: str) -> str:
    escaped = _ANY_SYMBOL.sub(lambda symbol: _SYMBOLS[symbol[0]], text)
    return re.sub(r"\*\*(.+?)\*\*", r"\\textbf{\1}", escaped)
