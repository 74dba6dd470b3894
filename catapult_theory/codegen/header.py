"""The comment at the head of every generated file: equations, symbols, units, shapes, source."""

from __future__ import annotations

from typing import Any

from catapult_theory.codegen.labels import describe

WIDTH = 96


def header(update_map: Any, backend: str) -> str:
    """Return the docstring of a generated module.

    Parameters
    ----------
    update_map : UpdateMap
    backend : str

    Returns
    -------
    str

    Examples
    --------
    >>> from catapult_theory.symbolic.closure import derive
    >>> from catapult_theory.symbolic import models
    >>> "lam' = " in header(derive(models.uv()), "array")
    True
    """
    symbols = [*update_map.variables, *update_map.constants, *update_map.data]
    lines = [
        f"Exact training dynamics of the model {update_map.model!r}: {update_map.loss} loss, "
        f"{update_map.optimizer}.",
        "",
        f"One step ({update_map.exactness}; a prime marks the value after the step):",
        "",
        *(f"    {line}" for line in str(update_map).splitlines()[:-1]),
        "",
        "Symbols:",
        "",
        *(f"    {_symbol_line(s)}" for s in symbols),
        "",
        'Source: Lewkowycz et al., "The large learning rate phase of deep learning: the catapult',
        'mechanism" (arXiv 2003.02218); derived by catapult_theory. This file needs only',
        f"{'NumPy and Numba' if backend == 'numba' else 'an array-API library such as NumPy'}.",
    ]
    return '"""' + "\n".join(lines).replace("\\", "\\\\") + '\n"""\n'


def _symbol_line(s: Any) -> str:
    attrs = describe(s.name)
    shape = f", shape {tuple(s.shape)}" if hasattr(s, "shape") else ""
    return f"{s.name}: {attrs.get('long_name', s.name)}, unit {attrs.get('units', '1')}{shape}"
