"""Which number type `dtype: auto` becomes: the engine's own choice, but where this processor computes prompts in it far slower.

An x86 processor without AVX-512 has no instructions for 16-bit numbers: the matrix products of vLLM's CPU build and of torch
convert them on the way. With one to four tokens in a step that costs nothing, as half as many bytes are read; from eight on
float32 is faster, and for prompts six times (docs/findings.md, number formats). So float32 serves better wherever there are
prompts or several streams, at twice the memory. A declared type is never changed.
"""

from __future__ import annotations

import math
from pathlib import Path

from serving.config import ServerConfig
from serving.models.checkpoint_facts import CheckpointFacts

FLOAT32 = "float32"
CPU_FACTS = Path("/proc/cpuinfo")
#: Any of these gives oneDNN, which both use, kernels of its own for 16-bit numbers.
_KERNELS_FOR_16_BITS = frozenset(("avx512f", "avx_ne_convert"))
#: Weights in float32 may take this share of the memory; a larger model is served slowly rather than not at all.
_SHARE_OF_MEMORY = 0.5


def cpu_facts() -> str:
    """What Linux says of the processor, /proc/cpuinfo; empty on other systems."""
    try:
        return CPU_FACTS.read_text(encoding="utf-8")
    except OSError:
        return ""


def cpu_flags(facts: str) -> set[str]:
    """Instruction sets of an x86 processor, as Linux names them; empty for others."""
    flags = next((line for line in facts.splitlines() if line.startswith("flags")), "")
    return set(flags.partition(":")[2].split())


def is_slow_in_16_bits(facts: str) -> bool:
    """Whether these facts are of an x86 processor without kernels for 16-bit numbers; False where they do not say."""
    flags = cpu_flags(facts)
    return bool(flags) and not flags & _KERNELS_FOR_16_BITS


def this_processor_is_slow_in_16_bits() -> bool:
    """The same of this machine."""
    return is_slow_in_16_bits(cpu_facts())


def explicit_type(asked: str, *, device: str) -> str:
    """A declared type as it is; `auto` as the type in which a model stored in 16 bits is served here on this device."""
    if asked != "auto":
        return asked
    return FLOAT32 if device == "cpu" and this_processor_is_slow_in_16_bits() else "bfloat16"


def type_for_auto(
    config: ServerConfig, target: CheckpointFacts | None, *, device: str, slow: bool, memory_bytes: float
) -> str | None:
    """What the server is told where the config says `auto`; None leaves it to the engine.

    Args:
        target: the checkpoint that is served, None where it is not known.
        slow: whether the processor is slow in 16 bits.
        memory_bytes: of the machine.
    """
    if device != "cpu" or not slow or target is None or _is_said(config):
        return None
    if config.model.quantization is not None or target.value("quantization_config") is not None:
        return None  # kernels of quantised weights want one of the 16-bit types
    bytes_needed = 4.0 * sum(math.prod(shape) for shape in target.shapes.values())
    return FLOAT32 if bytes_needed <= _SHARE_OF_MEMORY * memory_bytes else None


def _is_said(config: ServerConfig) -> bool:
    told = any(argument.partition("=")[0] == "--dtype" for argument in config.engine.extra_args)
    return told or config.model.dtype != "auto"


def type_caution(config: ServerConfig, *, device: str, slow: bool, became: str | None) -> str | None:
    """What a user must know of the number type, None where nothing is odd.

    Args:
        became: what `auto` became (`type_for_auto`).
    """
    if device != "cpu" or not slow or config.model.dtype == FLOAT32:
        return None
    why = "this processor has no AVX-512 and computes prompts and batches several times slower in 16 bits than in float32"
    if became is not None:
        return (
            f"model.dtype auto became {became}: {why}. `dtype: bfloat16` has the checkpoint's own type, which reads half as many "
            "bytes for a single stream"
        )
    if config.model.dtype == "auto":
        return f"{why}, and the weights are quantised or too large for float32 here: expect low rates"
    return f"model.dtype is {config.model.dtype}: {why}. `dtype: float32` or auto is faster for these, with twice the memory"
