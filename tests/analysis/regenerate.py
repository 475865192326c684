"""Writes the golden texts anew: `python -m tests.analysis.regenerate`, then read the diff."""

from pathlib import Path

from analysis.report import report
from tests.analysis.synthetic import nasty_rows, results

if __name__ == "__main__":
    golden = Path(__file__).with_name("golden")
    report(results(nasty_rows()), out=golden, formats=(), paper=True)
