"""The shape of the house: which room may import which, and what no file may hold."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "catapult_theory"
FLOORS = {
    "errors": 0,
    "symbolic": 1,
    "codegen": 2,
    "phases": 3,
    "rigor": 3,
    "validation": 4,
    "sweeps": 4,
    "atlas": 5,
    "report": 5,
    "testing": 5,
    "doctor": 5,
    "cli": 6,
}
SIDE_ROOM = "networks"  # imports errors alone; imported from floor 4 up
FILES = sorted(p for p in PACKAGE.rglob("*.py"))
PROOFS = sorted((PACKAGE.parent / "derivations").glob("*.v"))
LONGEST_FILE = 600


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported(path: Path) -> set[str]:
    """Full names of all modules that a file imports, anywhere in it."""
    return names_imported(tree_of(path))


def names_imported(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # Relative imports would need the place of the file to be understood.
            assert node.level == 0, f"line {node.lineno}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def rooms_of(names: set[str]) -> set[str]:
    own = {tuple(name.split(".")) for name in names if name.startswith("catapult_theory.")}
    return {parts[1] for parts in own}


def rooms_imported(path: Path) -> set[str]:
    return rooms_of(imported(path))


def may_import(room: str, other: str) -> bool:
    if room in (other, "__init__"):
        return True
    if other == "errors":
        return True
    if room == SIDE_ROOM:
        return False
    if other == SIDE_ROOM:
        return FLOORS[room] >= 4
    return FLOORS[room] > FLOORS[other]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_file_imports_from_a_higher_floor_or_a_neighbour(path):
    room = room_of(path)
    wrong = {
        other
        for other in rooms_imported(path)
        if other in {*FLOORS, SIDE_ROOM} and not may_import(room, other)
    }
    assert not wrong


def test_the_floors_would_notice_a_wrong_import():
    assert not may_import("symbolic", "codegen")
    assert not may_import("phases", "rigor")
    assert not may_import("networks", "symbolic")
    assert not may_import("codegen", "networks")
    assert may_import("validation", "networks")


@pytest.mark.parametrize(
    "code",
    [
        "import catapult_theory.codegen.run",
        "from catapult_theory.codegen.run import run",
        "from catapult_theory import codegen",
        "def f():\n    from catapult_theory.codegen import run",
    ],
)
def test_every_way_to_import_is_seen(code):
    assert rooms_of(names_imported(ast.parse(code))) == {"codegen"}


def test_every_room_stands_on_a_floor():
    rooms = {room_of(path) for path in FILES} - {"__init__", SIDE_ROOM}
    assert rooms <= set(FLOORS)


def test_networks_share_no_formula_with_the_symbolic_side():
    for path in (PACKAGE / SIDE_ROOM).rglob("*.py"):
        assert not [name for name in imported(path) if name.split(".")[0] == "sympy"], path


def test_no_zoo_model_is_named_in_the_engine():
    for file in ("closure", "matrix_closure", "gram", "coordinates", "blocks", "words"):
        tree = tree_of(PACKAGE / "symbolic" / f"{file}.py")
        texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
        assert not texts & {"uv", "linear"}, file


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_file_holds_what_is_forbidden(path):
    for node in ast.walk(tree_of(path)):
        assert not isinstance(node, ast.Assert), node.lineno
        assert not (isinstance(node, ast.ExceptHandler) and node.type is None), node.lineno
        called = getattr(getattr(node, "func", None), "id", "")
        assert not (isinstance(node, ast.Call) and called in ("eval", "exec")), node.lineno


@pytest.mark.parametrize("path", [*FILES, *PROOFS], ids=lambda p: p.name)
def test_no_file_is_long(path):
    assert path.read_text().count("\n") <= LONGEST_FILE


def test_the_proofs_are_among_the_files_that_are_measured():
    assert {"vectors.v", "whitened_data.v"} <= {p.name for p in PROOFS}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_public_function_says_what_it_does(path):
    for node in tree_of(path).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{path.name}:{node.lineno} {node.name}"


def test_every_function_of_the_public_face_shows_an_example():
    import catapult_theory as ct

    public = {name: getattr(ct, name) for name in ct.__all__}
    functions = {name: f for name, f in public.items() if inspect.isfunction(f)}
    assert {"derive", "compile", "run", "verify"} <= set(functions)
    assert [name for name, f in functions.items() if ">>>" not in (f.__doc__ or "")] == []


def test_importing_the_package_pulls_in_no_backend():
    heavy = ("numba", "jax", "torch", "matplotlib", "sklearn", "sympy", "xarray")
    code = f"import catapult_theory, sys; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_every_public_name_can_be_reached():
    import catapult_theory as ct

    for name in ct.__all__:
        assert getattr(ct, name) is not None
    assert set(ct.__all__) <= set(dir(ct))
    with pytest.raises(AttributeError, match="deriv"):
        ct.deriv  # noqa: B018
