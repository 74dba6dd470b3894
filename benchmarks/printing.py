"""An `Answer` as text and as JSON."""

from __future__ import annotations

from typing import Any

from benchmarks.measuring import Answer, Measured, Target

WIDTH = 44


def text(answer: Answer) -> str:
    """Return the table, who is missing, the agreement and the targets."""
    lines = [answer.title, *(f"  {note}" for note in answer.notes), _head(answer)]
    lines += [_row(answer, result) for result in answer.results]
    lines += [f"  skipped: {name}: {reason}" for name, reason in answer.missing.items()]
    lines += [f"  FAILED: {name}: {fault}" for name, fault in answer.broken.items()]
    lines += _agreement(answer)
    lines += [_target(answer, target) for target in answer.targets]
    return "\n".join(lines)


def _head(answer: Answer) -> str:
    against = answer.our_name or answer.results[0].name
    columns = f"{'median s':>10} {answer.unit:>15} {'ratio':>11} {'% of limit':>11}"
    return f"  {f'ratio: to {against}':{WIDTH}} {columns}"


def _row(answer: Answer, result: Measured) -> str:
    base = answer.result("ours") or answer.results[0]
    limit = answer.limit
    share = f"{100 * limit.over(result):10.1f}%" if limit else f"{'':11}"
    cost = f"{result.cost * 1e9:.4g} ns"
    figures = f"{result.median:10.4f} {cost:>15} {result.over(base):11.3g} {share}"
    return f"  {result.name:{WIDTH}} {figures}" + (f"  ({result.note})" if result.note else "")


def _agreement(answer: Answer) -> list[str]:
    if not answer.differences:
        return []
    worst = {
        key: max(found[key] for found in answer.differences.values()) for key in answer.tolerance
    }
    shown = ", ".join(f"{k} {d:.1e} (at most {answer.tolerance[k]:g})" for k, d in worst.items())
    lines = [
        f"  agreement of {len(answer.differences) + 1} contestants, largest difference: {shown}"
    ]
    for name, found in answer.disagreeing.items():
        figures = ", ".join(f"{k} {d:.1e}" for k, d in found.items())
        lines.append(f"  DISAGREES with {answer.reference}: {name}: {figures}")
    return lines


def _target(answer: Answer, target: Target) -> str:
    value = answer.reached(target)
    if value is None:
        sides = (target.slow, target.fast)
        absent = [answer.named(name) for name in sides if answer.result(name) is None]
        return f"  target: {target.text}: not measured (without {', '.join(absent)})"
    verdict = "met" if target.met(value) else "not met"
    who = f" with {answer.our_name}" if "ours" in target.slow + target.fast else ""
    return f"  target: {target.text}: reached {value:.3g}{who}: {verdict}"


def as_json(answer: Answer) -> dict[str, Any]:
    """Return everything that an answer holds, for JSON."""
    return {
        "unit": answer.unit,
        "contestants": {
            r.name: {
                "seconds": list(r.seconds),
                "units": r.units,
                "cost": r.cost,
                "note": r.note,
                "limit": r.limit,
            }
            for r in answer.results
        },
        "missing": dict(answer.missing),
        "broken": dict(answer.broken),
        "reference": answer.reference,
        "differences": {name: dict(found) for name, found in answer.differences.items()},
        "tolerance": dict(answer.tolerance),
        "disagreeing": sorted(answer.disagreeing),
        "ours": answer.our_name,
        "targets": [_target_json(answer, target) for target in answer.targets],
        "flops": answer.flops,
        "bytes": answer.bytes,
        "notes": list(answer.notes),
    }


def _target_json(answer: Answer, target: Target) -> dict[str, Any]:
    value = answer.reached(target)
    return {
        "text": target.text,
        "slow": answer.named(target.slow),
        "fast": answer.named(target.fast),
        "bound": target.bound,
        "at_most": target.at_most,
        "reached": value,
        "met": None if value is None else target.met(value),
    }
