"""The machine that LLVM code is emitted for: vector width, registers, compilation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from catapult_theory.codegen.storage import stored_object
from catapult_theory.errors import InputError

# Name of the instruction set: bytes in a vector, vector registers, LLVM's CPU, its features.
_SETS = {
    "avx512": (64, 32, "skylake-avx512", "+avx512f,+avx512dq,+avx512vl,+fma,-prefer-256-bit"),
    "avx2": (32, 16, "haswell", "+avx2,+fma,-avx512f"),
    "sse2": (16, 16, "x86-64", "+sse2"),
    "neon": (16, 32, "cortex-a76", "+neon"),
}
# Of LLVM's four levels of code generation.
OPTIMIZATION = 2
_TRIPLES = {"neon": "aarch64-unknown-linux-gnu"}


@dataclass(frozen=True)
class Host:
    """What code is emitted for.

    Parameters
    ----------
    instructions : str
        "avx512", "avx2", "sse2" or "neon".
    cpu, features, triple : str
        As LLVM names them.
    """

    instructions: str
    cpu: str
    features: str
    triple: str

    @property
    def vector_bytes(self) -> int:
        """The bytes of a vector register."""
        return _SETS[self.instructions][0]

    @property
    def registers(self) -> int:
        """The number of vector registers."""
        return _SETS[self.instructions][1]

    @property
    def fuses(self) -> bool:
        """Whether a multiplication and an addition are one instruction."""
        return self.instructions != "sse2"

    @property
    def flush(self) -> str:
        """By which family's control register denormal numbers are flushed: "x86" or "neon"."""
        return "neon" if self.instructions == "neon" else "x86"

    def lanes(self, dtype: str) -> int:
        """Return how many numbers a vector holds."""
        return self.vector_bytes // (8 if dtype == "float64" else 4)

    def limited_to(self, instructions: str) -> Host:
        """Return the same machine with a smaller instruction set.

        Raises
        ------
        InputError
            If the machine does not have it.
        """
        order = ("sse2", "avx2", "avx512")
        known = self.instructions in order and instructions in order
        if not known or order.index(instructions) > order.index(self.instructions):
            raise InputError(f"this machine has {self.instructions}, not {instructions}")
        _, _, cpu, features = _SETS[instructions]
        return replace(self, instructions=instructions, cpu=cpu, features=features)


def named(instructions: str) -> Host:
    """Return a machine by its instruction set, for looking at code for another one.

    Parameters
    ----------
    instructions : str

    Returns
    -------
    Host

    Examples
    --------
    >>> named("avx2").lanes("float64"), named("neon").triple
    (4, 'aarch64-unknown-linux-gnu')
    """
    _, _, cpu, features = _SETS[instructions]
    triple = _TRIPLES.get(instructions, "x86_64-unknown-linux-gnu")
    return Host(instructions, cpu, features, triple)


@cache
def native() -> Host:
    """Return this machine.

    Returns
    -------
    Host
    """
    binding = _binding()
    triple = binding.get_process_triple()
    has = binding.get_host_cpu_features()
    cpu = binding.get_host_cpu_name()
    if triple.startswith(("aarch64", "arm64")):
        return Host("neon", cpu, has.flatten(), triple)
    if has.get("avx512f") and has.get("avx512dq") and has.get("avx512vl"):
        name = "avx512"
    elif has.get("avx2") and has.get("fma"):
        name = "avx2"
    else:
        name = "sse2"
    has["prefer-256-bit"] = False
    return Host(name, cpu, has.flatten(), triple)


@cache
def _binding() -> Any:
    """Return llvmlite's binding, with its targets initialised once."""
    import llvmlite.binding as binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding


def assembly(text: str, host: Host) -> str:
    """Return the assembly of a module, for this machine or another one.

    Parameters
    ----------
    text : str
        LLVM IR.
    host : Host

    Returns
    -------
    str
    """
    binding = _binding()
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    machine = _machine(host)
    return str(machine.emit_assembly(_module(text, machine, host)))


def _machine(host: Host) -> Any:
    target = _binding().Target.from_triple(host.triple)
    return target.create_target_machine(
        cpu=host.cpu, features=host.features, opt=OPTIMIZATION, jit=True, reloc="default"
    )


def _module(text: str, machine: Any, host: Host) -> Any:
    module = _binding().parse_assembly(text)
    module.triple = host.triple
    module.data_layout = str(machine.target_data)
    return module


def compiled(text: str, host: Host) -> Any:
    """Return an execution engine that holds the compiled module, from the disk if it is there.

    Parameters
    ----------
    text : str
        LLVM IR.
    host : Host
        This machine, or it with fewer instructions.

    Returns
    -------
    object
        With ``get_function_address(name)``; the code lives as long as it does.
    """
    import llvmlite

    binding = _binding()
    machine = _machine(host)
    versions = (llvmlite.__version__, str(binding.llvm_version_info), str(OPTIMIZATION))
    key = (text, *versions, host.cpu, host.features, host.triple)
    made = stored_object(key, lambda: machine.emit_object(_module(text, machine, host)))
    engine = binding.create_mcjit_compiler(_module("", machine, host), machine)
    engine.add_object_file(binding.ObjectFileRef.from_data(made))
    engine.finalize_object()
    return engine
