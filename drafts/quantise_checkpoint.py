"""Makes a quantised copy of a checkpoint with compressed-tensors, in the layout that vLLM loads.

Run as `python -m drafts.quantise_checkpoint SCHEME SOURCE_DIR OUT_DIR`. Progress goes to stdout, one JSON object a
line ({"stage", "done", "total"}), then {"result": {"library"}}; a failure's cause is the "error" of the last one.

Weights are rounded to the nearest value on a scale fitted to the greatest one of each output channel (int8) or
group of inputs (int4). No calibration data: activations, where a scheme quantises them, get their scale per token
while serving. Embeddings and the output head stay as they are.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from accounting.errors import KilotokenError, ModelError
from drafts.tokenizer_files import copy_tokenizer

#: Our names -> compressed-tensors' presets, as `serving.models.quantisation` has them; a test compares.
PRESETS = {"int8": "W8A8", "int4": "W4A16", "int8-weights": "W8A16", "fp8": "FP8_DYNAMIC"}
_STEPS = 4
_GROUPS = (128, 64, 32)  # inputs that share one scale, best known first; the kernel wants multiples of 32


def quantise(source: Path, out_dir: Path, scheme_name: str) -> str:
    """Write a copy of the checkpoint `source` into `out_dir`, its linear layers quantised; return the library.

    Raises:
        ModelError: the model is quantised already, or its shapes do not fit the scheme.
    """
    _progress("loading libraries", 0)
    import compressed_tensors
    import torch
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    if "quantization_config" in json.loads((source / "config.json").read_bytes()):
        raise ModelError("This checkpoint is quantised already: quantise the one that it was made from.")
    _progress("reading weights", 1)
    model = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
    scheme = _scheme(scheme_name, model)
    apply_quantization_config(
        model, QuantizationConfig(config_groups={"group_0": scheme}, ignore=["lm_head"])
    )
    _progress("quantising weights", 2)
    with torch.no_grad():
        _fit_scales(model)
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    _progress("writing weights", 3)
    model.save_pretrained(out_dir)
    compressor.update_config(str(out_dir))
    copy_tokenizer(source, out_dir)
    _progress("writing weights", _STEPS)
    return f"compressed-tensors {compressed_tensors.__version__}"


def _scheme(name: str, model: Any) -> Any:
    """The preset, with the largest group that divides every linear layer's inputs."""
    from compressed_tensors.quantization import preset_name_to_scheme
    from torch import nn

    scheme = preset_name_to_scheme(PRESETS[name], ["Linear"])
    if scheme.weights.group_size:
        widths = {module.in_features for module in model.modules() if isinstance(module, nn.Linear)}
        fitting = [size for size in _GROUPS if all(width % size == 0 for width in widths)]
        if not fitting:
            raise ModelError(
                f"{name} wants inputs in multiples of {_GROUPS[-1]}; this model has {sorted(widths)}."
            )
        scheme.weights.group_size = fitting[0]
    return scheme


def _fit_scales(model: Any) -> None:
    """Set each quantised layer's scale from the least and the greatest weight of each channel or group."""
    from compressed_tensors.quantization.utils import calculate_qparams, is_module_quantized

    for module in model.modules():
        if not is_module_quantized(module):
            continue
        arguments = module.quantization_scheme.weights
        rows = module.weight.shape[0]
        groups = module.weight.float().reshape(rows, -1, arguments.group_size or module.weight.shape[1])
        scale, _zero_point = calculate_qparams(groups.amin(dim=-1), groups.amax(dim=-1), arguments)
        module.weight_scale.data.copy_(scale)


def _progress(stage: str, done: int) -> None:
    sys.stdout.write(json.dumps({"stage": stage, "done": done, "total": _STEPS}) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Quantise, or say on stdout why not."""
    if len(arguments) != 3 or arguments[0] not in PRESETS:
        sys.stderr.write(
            f"usage: python -m drafts.quantise_checkpoint {'|'.join(PRESETS)} SOURCE_DIR OUT_DIR\n"
        )
        return 2
    try:
        library = quantise(Path(arguments[1]), Path(arguments[2]), arguments[0])
    except (ImportError, KilotokenError) as error:
        hint = "; pip install 'kilotoken[convert]'" if isinstance(error, ImportError) else ""
        sys.stdout.write(json.dumps({"error": f"{error}{hint}"}) + "\n")
        return 1
    sys.stdout.write(json.dumps({"result": {"library": library}}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
