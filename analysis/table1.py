"""Table 1: margins and overall accuracies of the selected configuration and the baselines."""

from __future__ import annotations

import math
import re

import pandas as pd

from analysis.configurations import RECONSTRUCTION_ONLY
from analysis.estimates import configurations, with_edges
from analysis.markdown import markdown_table, mean_and_spread, number
from analysis.selection import PAPER_SELECTION, select
from analysis.trainings import VARIED, Trainings

MEASURES = {
    "delta_pitch": "Δ pitch",
    "pitch_overall": "Pitch overall",
    "delta_instrument": "Δ inst.",
    "instrument_overall": "Inst. overall",
}
METHODS = {
    RECONSTRUCTION_ONLY: "Multi-view (L_rec)",
    "cl-pitch": "CL-Pitch (InfoNCE)",
    "cl-instrument": "CL-Instrument (InfoNCE)",
    "encoder": "Frozen encoder",
}
# Table 1 of the paper, in the order of MEASURES; NaN where it has a dash.
_NONE = float("nan")
PAPER = {
    PAPER_SELECTION: (0.10, 0.71, 0.17, 0.94),
    RECONSTRUCTION_ONLY: (0.00, 0.70, 0.01, 0.95),
    "cl-pitch": (_NONE, 0.65, _NONE, 0.35),
    "cl-instrument": (_NONE, 0.14, _NONE, 0.81),
    "encoder": (_NONE, 0.67, _NONE, 0.91),
}
# The task that the pairs of a CL baseline were not chosen for.
OTHER_TASK = {"cl-pitch": "instrument_overall", "cl-instrument": "pitch_overall"}


def data(trainings: Trainings, paper: bool = False) -> pd.DataFrame:
    """One row a method: `name`, `method`, `chosen`, `seeds`, means, intervals, `rule`.

    The paper's selection has a row whether or not the rule chose it here too. A method without a
    finished run has 0 seeds and NaN. `paper` adds the paper's numbers as `paper_…`.
    """
    table = configurations(trainings)
    selection = select(table)
    selected = [selection.name] if selection else []
    names = list(dict.fromkeys([*selected, PAPER_SELECTION, *METHODS]))
    rows = table.set_index("name").reindex(names).reset_index()
    rows["method"] = [METHODS.get(name, f"Multi-view (L_rec + L_dis), {name}") for name in names]
    rows["chosen"] = rows["name"].isin(selected)
    rows["rule"] = selection.rule if selection else ""
    rows["seeds"] = rows["seeds"].fillna(0).astype(int)
    if not rows["seeds"].any():
        raise ValueError("Table 1 has no finished run to show; go on with `sweeper resume`")
    kept = rows[["name", "method", "chosen", "seeds", *with_edges(MEASURES), "rule"]]
    return kept.join(_paper(names)) if paper else kept


def _paper(names: list[str]) -> pd.DataFrame:
    numbers = [PAPER.get(name, (_NONE,) * len(MEASURES)) for name in names]
    return pd.DataFrame(numbers, columns=[f"paper_{name}" for name in MEASURES])


def caption(table: pd.DataFrame, basis: str) -> str:
    """What the numbers are, how the first row was selected, and what the intervals rest on."""
    chosen = table[table["chosen"]]
    rule = "No configuration could be chosen yet."
    if len(chosen):
        rule = f"{chosen['name'].iloc[0]} was chosen by this rule: {chosen['rule'].iloc[0]}."
    return (
        "Table 1. Test accuracy of linear probes on z_p ⊕ z_s (overall), and margins Δ between "
        f"the subspaces. {rule} {PAPER_SELECTION} is the paper's choice. In brackets: the task "
        "that the pairs were not chosen for. Bold: the best of a column as printed. "
        "±: half of the 95 % interval; n: seeds. "
        + ("In square brackets: the paper's numbers. " if "paper_delta_pitch" in table else "")
        + f"{basis} {VARIED}"
    )


def cells(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text: one row a method, one column a measure, and how many seeds there are."""
    columns = {head: _column(table, measure) for measure, head in MEASURES.items()}
    return pd.DataFrame({"Method": table["method"], **columns, "n": table["seeds"].astype(str)})


def _column(table: pd.DataFrame, measure: str) -> list[str]:
    best = table.loc[table["name"].map(OTHER_TASK) != measure, measure].max()
    return [_cell(row, measure, number(best)) for _, row in table.iterrows()]


def _cell(row: pd.Series, measure: str, best: str) -> str:
    """`**0.71 ± 0.01** [0.71]`: bold if the best, in brackets if of the other task, the paper's."""
    value, paper = row[measure], row.get(f"paper_{measure}", _NONE)
    has_margins = row["name"] not in ["encoder", *OTHER_TASK]
    text = mean_and_spread(value, (row[f"{measure}_high"] - row[f"{measure}_low"]) / 2)
    if row["seeds"] == 0 and (has_margins or measure.endswith("_overall")):
        text = "not finished"
    elif not math.isnan(value):
        other_task = OTHER_TASK.get(row["name"]) == measure
        text = f"({text})" if other_task else f"**{text}**" if number(value) == best else text
    return text if math.isnan(paper) else f"{text} [{number(paper)}]"


def markdown(table: pd.DataFrame, basis: str) -> str:
    return f"{markdown_table(cells(table), rule='---:')}\n\n{caption(table, basis)}\n"


def latex(table: pd.DataFrame, basis: str, foot: str) -> str:
    """A table for the booktabs package."""
    rows = [" & ".join(map(_latex, line)) + r" \\" for line in cells(table).to_numpy().tolist()]
    described = caption(table, basis).removeprefix("Table 1. ")  # LaTeX numbers its tables itself
    return "\n".join([
        r"\begin{table}", r"\centering", rf"\caption{{{_latex(f'{described} {foot}')}}}",
        r"\begin{tabular}{lrrrrr}", r"\toprule",
        r" & \multicolumn{2}{c}{Pitch} & \multicolumn{2}{c}{Instrument} & \\",
        r"\cmidrule(lr){2-3} \cmidrule(lr){4-5}",
        r"Method & $\Delta$ & Overall & $\Delta$ & Overall & $n$ \\", r"\midrule",
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
