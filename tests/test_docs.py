"""The guides tell the truth: their code runs, and prints what they say that it prints.

In a page a ``python`` block runs in one namespace per page; a ``console`` block holds command
lines after ``$``; a ``c`` block is a program. A ``text`` block, or the lines below a command, must
be what is printed. A word after the language is a package or a program that the block needs; where
it is missing the rest of the page is still run, and the page counts as skipped.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from catapult_theory import cli

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = ("coqc",)
# Installation and the main job have tests of their own.
NOT_RUN = ("pip ", "git ", "catapult report", "pytest", "catapult doctor")


@dataclass(frozen=True)
class Block:
    language: str
    needs: str | None
    text: str
    line: int

    @property
    def missing(self) -> str:
        """What the block needs and this machine has not."""
        if self.language == "c":
            return "" if shutil.which("gcc") else "gcc"
        if self.needs is None:
            return ""
        # A program of a package's name, such as z3, does not bring the package.
        find = shutil.which if self.needs in PROGRAMS else importlib.util.find_spec
        return "" if find(self.needs) else self.needs


def blocks(page: str) -> list[Block]:
    found = re.finditer(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [Block(m[1], m[2], m[3], page.count("\n", 0, m.start()) + 1) for m in found]


def plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def run_python(block: Block, name: str, namespace: dict) -> str:
    code = compile("\n" * block.line + block.text, name, "exec")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, namespace)
    return printed.getvalue()


def run_c(block: Block) -> str:
    Path("main.c").write_text(block.text)
    flags = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-O2", "-ffp-contract=off"]
    subprocess.run(["gcc", *flags, "main.c", "-o", "program", "-lm"], check=True)
    return subprocess.run(["./program"], capture_output=True, text=True, check=True).stdout


def run_command(line: str, monkeypatch) -> str:
    monkeypatch.setattr(sys, "argv", shlex.split(line))
    streams = io.StringIO()
    with (
        contextlib.redirect_stdout(streams),
        contextlib.redirect_stderr(streams),
        pytest.raises(SystemExit),
    ):
        cli.main()
    return streams.getvalue()


def check_console(block: Block, monkeypatch) -> None:
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        if line.startswith(NOT_RUN):
            continue
        printed = run_command(line, monkeypatch)
        assert not shown.strip() or plain(printed) == plain(shown), line


def check_page(text: str, name: str, monkeypatch) -> None:
    namespace: dict = {"__name__": "page"}
    printed: str | None = ""
    missing = set()
    for block in blocks(text):
        if block.missing:
            missing.add(block.missing)
            printed = None
        elif block.language == "python":
            printed = run_python(block, name, namespace)
        elif block.language == "c":
            printed = run_c(block)
        elif block.language == "text" and printed is not None:
            assert plain(printed) == plain(block.text), f"{name}:{block.line}"
        elif block.language == "console":
            check_console(block, monkeypatch)
    if missing:
        pytest.skip(f"not installed: {', '.join(sorted(missing))}")


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return monkeypatch


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_code_of_a_page_prints_what_the_page_says(page, workplace):
    check_page(page.read_text(), str(page), workplace)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


WRONG_PAGES = {
    "output": "```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n",
    "command": "```console\n$ catapult derive uv\nf' = f\n```\n",
    "C": "```c\nint main(void) { return 0; }\n```\n\n```text\n3\n```\n",
    "after a missing package": "```python no_such\n1\n```\n\n```python\nassert False\n```\n",
    "error": "```python\nraise AssertionError\n```\n",
}


@pytest.mark.parametrize("page", WRONG_PAGES.values(), ids=WRONG_PAGES)
def test_a_page_that_is_wrong_is_noticed(page, workplace):
    with pytest.raises(AssertionError):
        check_page(page, "page", workplace)


def test_a_block_without_its_package_is_left_out_and_counts_as_skipped(workplace):
    page = "```python no_such_package\nimport no_such_package\n```\n\n```text\n1\n```\n"
    with pytest.raises(pytest.skip.Exception, match="no_such_package"):
        check_page(page, "page", workplace)


def test_every_page_is_in_the_index():
    index = (ROOT / "docs" / "index.md").read_text()
    for page in PAGES[1:]:
        assert page.name == "index.md" or f"({page.name})" in index, page.name


def test_continuous_integration_runs_the_commands_of_the_readme():
    readme = (ROOT / "README.md").read_text()
    script = (ROOT / ".ci" / "run").read_text()
    assert "pip install -e . && catapult report" in readme
    for text in (readme, script):
        assert "pip install -e '.[test]' && pytest" in text
