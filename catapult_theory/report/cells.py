"""Percent-cell scripts rendered to HTML: prose, code, and what the code printed."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from html import escape
from pathlib import Path

from latex2mathml.converter import convert
from markdown_it import MarkdownIt

from catapult_theory.errors import CatapultError, InputError

MARK = "@@cell@@"
_MATH = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$", re.DOTALL)


@dataclass(frozen=True)
class Cell:
    """One cell of a script: prose or code."""

    prose: bool
    text: str


def cells_of(source: str) -> list[Cell]:
    """Split a script at its ``# %%`` lines.

    Parameters
    ----------
    source : str

    Returns
    -------
    list of Cell

    Examples
    --------
    >>> [c.prose for c in cells_of("# %% [markdown]\\n# Hello\\n# %%\\nx = 1\\n")]
    [True, False]
    """
    found = []
    for part in re.split(r"^# %%", source, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        if "[markdown]" in head:
            lines = [line.removeprefix("#").removeprefix(" ") for line in body.splitlines()]
            found.append(Cell(True, "\n".join(lines).strip()))
        elif body.strip():
            found.append(Cell(False, body.strip()))
    return found


def math(latex: str, display: bool = True) -> str:
    """Return LaTeX as MathML, which browsers show without any script.

    Parameters
    ----------
    latex : str
    display : bool

    Returns
    -------
    str

    Examples
    --------
    >>> math("x^2", display=False).startswith("<math")
    True
    """
    # the converter aligns the rows of align*, but not those of aligned
    rows = latex.replace("{aligned}", "{align*}")
    return str(convert(rows, display="block" if display else "inline"))


def prose(text: str) -> str:
    """Return Markdown with formulas between dollar signs as HTML with MathML.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    kept: list[str] = []

    def put(match: re.Match[str]) -> str:
        block, inline = match.groups()
        kept.append(math(block or inline, display=block is not None))
        return f"MATHPLACE{len(kept) - 1}END"

    html = str(MarkdownIt().render(_MATH.sub(put, text)))
    return re.sub(r"MATHPLACE(\d+)END", lambda m: kept[int(m.group(1))], html)


def outputs_of(path: Path, cells: list[Cell]) -> list[str]:
    """Run a script in a process of its own and return what each code cell printed.

    Raises
    ------
    CatapultError
        If the script fails; the message holds its last line.
    """
    code = f"\nprint('{MARK}')\n".join(c.text for c in cells if not c.prose)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / path.name
        script.write_text(code, encoding="utf-8")
        done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise CatapultError(
            f"the derivation {path.name} fails ({last}): run it by itself to see where"
        )
    return [part.strip("\n") for part in done.stdout.split(f"{MARK}\n")]


def printed(text: str) -> str:
    """Return what a cell printed as HTML; formulas between double dollar signs as MathML.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Examples
    --------
    >>> printed("a < b")
    "<pre class='printed'>a &lt; b</pre>"
    """
    parts = []
    for i, part in enumerate(re.split(r"\$\$(.+?)\$\$", text, flags=re.DOTALL)):
        if i % 2:
            parts.append(f"<div class='equation'>{math(part)}</div>")
        elif part.strip():
            parts.append(f"<pre class='printed'>{escape(part.strip(chr(10)))}</pre>")
    return "\n".join(parts)


def title_of(cells: list[Cell]) -> str:
    """Return the first heading of a script as Markdown, or an empty text."""
    first = next((c.text for c in cells if c.prose), "")
    return first.partition("\n")[0].lstrip("# ")


def render(path: Path) -> tuple[str, str]:
    """Return the title and the body of a script as HTML, the script run for it.

    The title is left out of the body; other headings go two levels down, below those of a page.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    tuple of str

    Raises
    ------
    InputError
        If the script has no cells.
    CatapultError
        If it fails.
    """
    cells = cells_of(path.read_text(encoding="utf-8"))
    if not cells:
        raise InputError(f"{path.name} has no cell: begin each with a line '# %%'")
    outputs = iter(outputs_of(path, cells))
    title = title_of(cells) or path.stem
    parts = []
    for cell in cells:
        if cell.prose:
            parts.append(_lowered(prose(cell.text.removeprefix(f"# {title}"))))
        else:
            parts.append(f"<pre class='code'>{escape(cell.text)}</pre>")
            parts.append(printed(next(outputs, "")))
    heading = prose(title).strip().removeprefix("<p>").removesuffix("</p>")
    return heading, "\n".join(parts)


def _lowered(html: str) -> str:
    return re.sub(r"(</?h)([1-4])>", lambda m: f"{m.group(1)}{int(m.group(2)) + 2}>", html)
