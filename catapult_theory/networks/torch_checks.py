"""What a network must not do: draw random numbers, write in place, couple samples, overflow.

Each is found by running the network, so that code inside ``forward`` is seen as well; known
layers are named first, because then the message can say which one to change.
"""

from __future__ import annotations

from typing import Any

from catapult_theory.errors import CatapultError, InputError, ModelError
from catapult_theory.networks.torch_part import (
    OUT_OF_MEMORY,
    Tensor,
    differentiable,
    torch_part,
)
from catapult_theory.networks.users_code import said

# Sums over other batch sizes are ordered differently: so many units of rounding are no coupling.
_ROUNDINGS = 1e5


def check_network(module: Any, inputs: Tensor) -> Tensor:
    """Return the outputs of a network that can be used, or say what to change.

    Parameters
    ----------
    module : torch.nn.Module
    inputs : tensor, shape (m, ...)

    Returns
    -------
    tensor, shape (m, ...)

    Raises
    ------
    ModelError
        For dropout or batch normalisation in training mode, in-place or random operations,
        coupled samples, no trainable parameters, or outputs that are not one tensor with a row
        for each sample.
    InputError
        If the network cannot take the inputs, or its outputs are not finite.
    """
    torch = torch_part()
    _check_layers(module)
    if not any(p.requires_grad for p in module.parameters()):
        raise ModelError("the network has no trainable parameter: set requires_grad=True on some")
    with torch.no_grad(), differentiable():
        outputs = _check_in_place(module, inputs)
        _check_outputs(outputs, inputs)
        if not torch.equal(outputs, _run(module, inputs)):
            raise ModelError(
                "the network gives other outputs when it is run again: take out what is random, "
                "for dropout and noise call .eval() first"
            )
        _check_coupling(module, inputs, outputs)
    return outputs


def _run(module: Any, inputs: Tensor) -> Any:
    try:
        return module(inputs)
    except (RuntimeError, TypeError, ValueError, IndexError) as cause:
        if any(words in str(cause).lower() for words in OUT_OF_MEMORY):
            raise
        if not inputs.is_floating_point():
            raise InputError(
                f"the network cannot take X of whole numbers ({said(cause)}): make X floating, "
                "such as X.astype(float), unless they are tokens"
            ) from cause
        raise InputError(
            f"the network cannot take X of shape {tuple(inputs.shape)} and type {inputs.dtype} "
            f"({said(cause)}): reshape X to what it expects; if it makes tensors of a fixed type "
            'inside forward, let them follow the inputs (dtype=x.dtype), or pass dtype="float32"'
        ) from cause
    except Exception as cause:  # whatever the user's forward raises
        if isinstance(cause, (CatapultError, MemoryError)):
            raise
        raise ModelError(f"the network fails on X, {said(cause)}: mend its forward") from cause


def _check_layers(module: Any) -> None:
    torch = torch_part()
    nn = torch.nn
    dropouts = (nn.modules.dropout._DropoutNd, nn.AlphaDropout, nn.FeatureAlphaDropout)
    for name, layer in module.named_modules():
        where = f"{name or 'the network'} ({type(layer).__name__})"
        if isinstance(layer, dropouts) and layer.training and layer.p > 0:
            raise ModelError(f"{where} drops out at random: call .eval() first, or set p=0")
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and (
            layer.training or layer.running_mean is None
        ):
            raise ModelError(
                f"{where} normalises by the statistics of the batch, which couples the samples: "
                "call .eval() first, or use GroupNorm or LayerNorm"
            )
        if getattr(layer, "inplace", False):
            raise ModelError(f"{where} writes in place: set inplace=False")
        random = getattr(layer, "dropout", 0.0)
        if layer.training and isinstance(random, float) and random > 0:
            raise ModelError(f"{where} drops out at random: call .eval() first, or set dropout=0")


def _check_in_place(module: Any, inputs: Tensor) -> Any:
    """Run once, and see that neither inputs nor parameters nor buffers were written to."""
    torch = torch_part()
    held = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    before = {name: t.clone() for name, t in held.items()}
    given = inputs.clone()
    outputs = _run(module, given)
    if not torch.equal(given, inputs):
        raise ModelError(
            "the network writes into its inputs: replace in-place operations on them (x += ..., "
            "x.relu_(), x[...] = ...) by new tensors"
        )
    changed = [name for name, t in held.items() if not _same(t, before[name])]
    if changed:
        raise ModelError(
            f"running the network changes {changed[0]}: replace the in-place operation, or call "
            ".eval() first if it keeps running statistics"
        )
    return outputs


def _same(one: Tensor, other: Tensor) -> bool:
    return bool(((one == other) | (one.isnan() & other.isnan())).all())


def _check_outputs(outputs: Any, inputs: Tensor) -> None:
    torch = torch_part()
    if not isinstance(outputs, torch.Tensor):
        raise ModelError(
            f"the network returns a {type(outputs).__name__}: wrap it in a module whose forward "
            "returns the outputs as one tensor"
        )
    if outputs.ndim == 0 or len(outputs) != len(inputs):
        raise ModelError(
            f"the network maps {len(inputs)} samples to outputs of shape {tuple(outputs.shape)}: "
            "the first axis must be that of the samples (batch_first=True for recurrent layers "
            "and attention)"
        )
    if not bool(torch.isfinite(outputs).all()):
        wrong = int((~torch.isfinite(outputs)).sum())
        raise InputError(
            f"{wrong} of {outputs.numel()} outputs of the network are NaN or infinite at the "
            "start: scale the inputs, or initialise with smaller weights"
        )


def _check_coupling(module: Any, inputs: Tensor, outputs: Tensor) -> None:
    if len(inputs) == 1:
        return
    torch = torch_part()
    cut = max(1, len(inputs) // 3)
    part = _run(module, inputs[:cut])
    size = float(outputs.abs().max())
    allowed = (
        _ROUNDINGS * torch.finfo(outputs.dtype).eps * max(size, torch.finfo(outputs.dtype).tiny)
    )
    same_shape = isinstance(part, torch.Tensor) and part.shape == outputs[:cut].shape
    if not same_shape or float((part - outputs[:cut]).abs().max()) > allowed:
        raise ModelError(
            "the output of one sample depends on the others in the batch: normalise within a "
            "sample (GroupNorm, LayerNorm), or call .eval() first"
        )
