"""``python -m benchmarks``: every question, each contest interleaved; see README.md."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import limits, printing
from benchmarks.machine import machine, settled
from benchmarks.measuring import Answer, Setting

# Modules with answers(setting); one that is not there is named.
QUESTIONS = (
    "lanes", "trajectories", "orbit", "full_model", "width", "linear_network", "training_runs",
)  # fmt: skip


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    known = (*QUESTIONS, "gpu")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write everything that was measured")
    parser.add_argument("--figure", type=Path, help="write the roofline")
    parser.add_argument("--small", action="store_true", help="a few lanes: a test, not a figure")
    found = parser.parse_args(arguments)
    unknown = [name for name in found.names if name not in known]
    if unknown:
        parser.error(f"unknown question {unknown[0]!r}: one of {', '.join(known)}")
    if found.rounds < 1:
        parser.error("--rounds must be at least 1")
    return found


def answered(names: Sequence[str], setting: Setting) -> Iterator[Answer | str]:
    """Yield the answers, question by question; a line for a question that is not there."""
    for name in names:
        home = f"benchmarks.{name}"
        if importlib.util.find_spec(home) is None:
            yield f"skipped: {name}: there is no {home}"
            continue
        yield from importlib.import_module(home).answers(setting)


def measure(chosen: argparse.Namespace) -> dict[str, Any]:
    """Measure what was chosen, print it as it comes, and return all of it."""
    setting = Setting(chosen.rounds, chosen.small)
    about = machine()
    print("\n".join(f"{k}: {v}" for k, v in about.items()))
    roofs = limits.measure(setting)
    print("\n".join(f"limit, {line}" for line in roofs.lines()), flush=True)
    results: dict[str, Any] = {}
    skipped = []
    for answer in answered(chosen.names or QUESTIONS, setting):
        if isinstance(answer, str):
            skipped.append(answer)
            print(f"\n{answer}", flush=True)
        else:
            results[answer.title] = printing.as_json(answer)
            print(f"\n{printing.text(answer)}", flush=True)
    return {
        "machine": about,
        "limits": roofs.as_json(),
        "small": chosen.small,
        "skipped": skipped,
        "results": results,
    }


def at_fault(found: dict[str, Any]) -> list[str]:
    """Return the contestants that failed, or that computed other numbers than the rest."""
    faults = []
    for title, result in found["results"].items():
        names = [*result["broken"], *result["disagreeing"]]
        faults += [f"{title}: {name}" for name in names]
    return faults


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 1 if a contestant failed or disagrees with the others."""
    chosen = options(arguments)
    if "gpu" in chosen.names:
        from benchmarks import gpu

        return gpu.main(Setting(chosen.rounds, chosen.small), chosen.json)
    found = measure(chosen)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(found, indent=1))
    if chosen.figure is not None:
        from benchmarks import roofline

        roofline.draw(found, chosen.figure)
    return int(bool(at_fault(found)))


if __name__ == "__main__":
    settled()
    sys.exit(main())
