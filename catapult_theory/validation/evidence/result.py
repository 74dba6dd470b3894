"""The evidence: rows with measured medians and verdicts; as a table, Markdown and JSON."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from catapult_theory.validation.evidence.medians import Median, median_of
from catapult_theory.validation.evidence.rows import EvidenceRow
from catapult_theory.validation.evidence.verdicts import MISSING, VERDICTS, verdict
from catapult_theory.validation.probing.result import Edge

HEAD = ("row", "prediction (source)", "setting", "criterion", "median [interval]", "starts",
        "verdict")  # fmt: skip


@dataclass(frozen=True)
class RowResult:
    """What was measured of a row.

    Parameters
    ----------
    row : EvidenceRow
    values : mapping of int to tuple of Edge
        By width, a bracket for each start in the order of the seeds 0, 1, ...
    reason : str
        Why it was not measured to its end; empty where it was.
    """

    row: EvidenceRow
    values: Mapping[int, tuple[Edge, ...]]
    reason: str = ""

    @property
    def complete(self) -> bool:
        """Whether every start at every width was measured."""
        counts = [len(self.values.get(n, ())) for n in self.row.network.widths]
        return min(counts) >= self.row.seeds

    @property
    def medians(self) -> dict[int, Median]:
        """By width, of the starts that were measured."""
        return {n: median_of(edges) for n, edges in self.values.items() if edges}

    @property
    def verdict(self) -> str:
        """One of holds, fails, undecided, censored, report only, not measured."""
        return verdict(self.row.criterion, tuple(self.medians.values()), self.complete)

    @property
    def shown(self) -> str:
        """Medians with intervals, in words."""
        medians = self.medians
        if not medians:
            return self.reason or "-"
        several = len(self.row.network.widths) > 1
        return ", ".join(f"n = {n}: {m}" if several else str(m) for n, m in medians.items())

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of a table."""
        done = sum(len(edges) for edges in self.values.values())
        wanted = self.row.seeds * len(self.row.network.widths)
        row = self.row
        return (
            row.name, f"{row.prediction} ({row.source})", row.setting, str(row.criterion),
            self.shown, f"{done}/{wanted}", self.verdict,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return criterion, brackets, medians, verdict and command; None for what is infinite."""
        medians = {
            str(n): {key: _finite(v) for key, v in asdict(m).items()}
            for n, m in self.medians.items()
        }
        brackets = {
            str(n): [[_finite(e.low), _finite(e.high)] for e in edges]
            for n, edges in self.values.items()
        }
        return {
            **asdict(self.row), "brackets": brackets, "medians": medians,
            "verdict": self.verdict, "reason": self.reason, "command": self.row.command,
        }  # fmt: skip


@dataclass(frozen=True)
class EvidenceResult:
    """The whole study.

    Parameters
    ----------
    rows : tuple of RowResult
        In the order of the criteria file.
    stopped : str
        "finished", "out of time" or "interrupted".
    versions : mapping of str to str
    """

    rows: tuple[RowResult, ...]
    stopped: str
    versions: Mapping[str, str]

    @property
    def summary(self) -> str:
        """How many rows got which verdict."""
        counts = Counter(r.verdict for r in self.rows)
        parts = [f"{counts[v]} {v}" for v in VERDICTS if counts[v]]
        return f"{len(self.rows)} rows: {', '.join(parts)} ({self.stopped})"

    @property
    def failed(self) -> bool:
        """Whether a row fails."""
        return any(r.verdict == "fails" for r in self.rows)

    @property
    def undecided(self) -> bool:
        """Whether a row that asserts something neither holds nor fails."""
        asserting = [r for r in self.rows if r.row.criterion.asserts]
        return any(r.verdict not in ("holds", "fails") for r in asserting)

    def to_markdown(self) -> str:
        """Return a table of the rows that were measured, the commands, and what was not measured.

        Returns
        -------
        str
        """
        there = [r for r in self.rows if r.verdict != MISSING]
        lines = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
        lines += [f"| {' | '.join(r.cells)} |" for r in there]
        lines += ["", INTERVALS, "", "Each row is made again by `catapult evidence --budget 60 "
                  "--rows NAME`.", "", self.summary, ""]  # fmt: skip
        missing = [r for r in self.rows if r.verdict == MISSING]
        if missing:
            lines += ["Not measured:", ""]
            lines += [f"- {r.row.name}: {r.reason}" for r in missing] + [""]
        return "\n".join(lines)

    def to_json(self) -> str:
        """Return everything, with brackets of every start.

        Returns
        -------
        str
        """
        content = {
            "stopped": self.stopped, "versions": dict(self.versions), "intervals": INTERVALS,
            "rows": [r.to_dict() for r in self.rows],
        }  # fmt: skip
        return json.dumps(content, indent=1)

    def __str__(self) -> str:
        lines = [f"{r.row.name:36s} {r.verdict:13s} {r.shown}" for r in self.rows]
        return "\n".join([*lines, self.summary])


INTERVALS = (
    "Intervals of the median are order statistics of the starts, with no assumption on their "
    "distribution: five starts, smallest to largest, 93.75 % exactly. Their ends are the outer "
    "ends of the brackets. All values but accuracies and peaks are in eta lambda_0."
)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
