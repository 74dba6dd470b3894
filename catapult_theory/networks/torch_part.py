"""PyTorch, imported when it is first needed, and settings under which everything can be derived."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from catapult_theory.errors import CatapultError, MissingBackend

Tensor = Any

_PACKAGES = {"torch": "torch", "curvlinops": "curvlinops-for-pytorch"}
_REMEDY = "pip install -e '.[torch]'"
_OUT_OF_MEMORY = ("not enough memory", "out of memory", "can't allocate memory")


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
        return import_module(module)
    except ImportError as cause:
        raise MissingBackend(f"networks of your own need {_PACKAGES[module]}: {_REMEDY}") from cause


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
        if isinstance(cause, MemoryError) or any(words in text for words in _OUT_OF_MEMORY):
            raise CatapultError(
                "out of memory: pass fewer samples through the network at a time (chunk=), or "
                "take fewer samples in all"
            ) from cause
        raise
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
