"""``python -m benchmarks [--rounds 5] [--json FILE]``: all benchmarks, interleaved within each."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks import linear_network, uv_lanes, width
from benchmarks.measuring import machine, table


def main() -> None:
    """Run every benchmark and print its table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    found = {"machine": machine(), "results": {}}
    print("\n".join(f"{k}: {v}" for k, v in found["machine"].items()))
    for benchmark in (uv_lanes, linear_network, width):
        title, results, per, unit = benchmark.measure(options.rounds)
        print("\n" + table(title, results, per, unit))
        found["results"][title] = {r.name: r.seconds for r in results}
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
