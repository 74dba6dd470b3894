"""PyTorch, imported when it is first needed, and settings under which everything can be derived."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

from catapult_theory.errors import CatapultError, MissingBackend

Tensor = Any

_PACKAGES = {"torch": "torch", "curvlinops": "curvlinops-for-pytorch"}
_REMEDY = "pip install -e '.[torch]'"
OUT_OF_MEMORY = ("not enough memory", "out of memory", "can't allocate memory")


def torch_part(module: str = "torch") -> Any:
    """Return PyTorch, or curvlinops, or refuse with the line that installs it.

    Parameters
    ----------
    module : str
        "torch" or "curvlinops".

    Returns
    -------
    module

    Raises
    ------
    MissingBackend
        If it is not installed.
    """
    try:
        return _quietly(module)
    except ImportError as cause:
        raise MissingBackend(f"networks of your own need {_PACKAGES[module]}: {_REMEDY}") from cause


@functools.cache
def load_forward_rules() -> None:
    """Import what PyTorch imports at its first forward derivative, before that.

    It is a private part of PyTorch: where it has another name, PyTorch imports it itself.
    """
    with suppress(ImportError):
        _quietly("torch._decomp.decompositions_for_jvp")


def _quietly(module: str) -> Any:
    """Import a module that compiles functions with torch.jit.script as it is imported.

    So do the rules of forward derivatives in PyTorch, and linear_operator, which curvlinops
    imports. That PyTorch is to drop torch.jit.script is nothing that a user here could mend.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`torch.jit.script`")
        return import_module(module)


@contextmanager
def differentiable() -> Iterator[None]:
    """Compute attention by its plain formula, and say what to change when memory runs out.

    The fused kernels of attention have neither a forward derivative nor a second one. PyTorch's
    choice of kernels is put back at the end.

    Raises
    ------
    CatapultError
        Where PyTorch runs out of memory.
    """
    torch = torch_part()
    from torch.nn.attention import SDPBackend, sdpa_kernel

    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    except (RuntimeError, MemoryError) as cause:
        text = str(cause).lower()
        if isinstance(cause, MemoryError) or any(words in text for words in OUT_OF_MEMORY):
            raise CatapultError(
                "out of memory: pass fewer samples through the network at a time (chunk=), or "
                "take fewer samples in all"
            ) from cause
        raise
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
