"""The rules rest on lines of the installed vLLM. A new vLLM that changes one of them must be looked at again."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

from serving.command import OURS_ALONE
from serving.legality.eagle3_targets import EAGLE3_TARGETS
from serving.legality.policy_rules import CPU_KV_DTYPES, FP8_KV_INSTRUCTIONS, HOST_DRAFTERS
from serving.section import Section
from serving.speculation import MTP_NAMES, WITHOUT_RUNNER, Speculating

_SPEC = importlib.util.find_spec("vllm")
SOURCE = Path(_SPEC.origin).parent if _SPEC and _SPEC.origin else None
pytestmark = pytest.mark.skipif(SOURCE is None, reason="no vLLM is installed: `make setup` installs it")

#: rule -> (file, text that must stand there)
PINS = {
    "suffix asserts a constant k": (
        "v1/spec_decode/suffix_decoding.py",
        "assert num_speculative_tokens == self.num_speculative_tokens",
    ),
    "medusa asserts a constant k": ("v1/spec_decode/medusa.py", "assert num_speculative_tokens =="),
    "a schedule is dropped with data parallelism": (
        "config/vllm.py",
        "speculative_config.num_speculative_tokens_per_batch_size = None",
    ),
    "gaps of a schedule are filled silently": (
        "v1/spec_decode/dynamic/utils.py",
        "Fill any gap before the next configured range by carrying forward",
    ),
    "block is the second runner's": (
        "v1/worker/gpu/spec_decode/rejection_sampler.py",
        'rejection_sample_method == "block"',
    ),
    "vocabulary sizes are compared, tokens are not": (
        "config/speculative.py",
        "Target and draft model should have the same vocabulary size.",
    ),
    "heterogeneous drafts are greedy": (
        "config/speculative.py",
        "use_heterogeneous_vocab currently only supports greedy draft",
    ),
    "speculators: an absent norm is true": (
        "transformers_utils/configs/speculators/algos.py",
        '"norm_before_residual", True',
    ),
    "plain layout: an absent norm is false": (
        "model_executor/models/llama_eagle3.py",
        'getattr(config, "norm_before_residual", False)',
    ),
    "a budget may not be below the requests": (
        "config/scheduler.py",
        "self.max_num_batched_tokens < self.max_num_seqs",
    ),
    "slots are compared per server": ("config/vllm.py", "max_num_batched_tokens <= scheduled_token_delta"),
    "async scheduling is off on CPU": ("platforms/cpu.py", "scheduler_config.async_scheduling = False"),
    "CPU blocks are multiples of 32": ("v1/attention/backends/cpu_attn.py", "[MultipleOf(32)]"),
    "an 8-bit KV cache on CPU needs heads of 32": (
        "v1/attention/backends/cpu_attn.py",
        "FP8 KV cache requires head_size divisible by 32 on CPU.",
    ),
    "the CPU sampler expands into a copy (cautions)": ("utils/cpu_triton_utils.py", "_ensure_int64(output)"),
    "synthetic asserts on CPU": (
        "utils/cpu_triton_utils.py",
        "Synthetic acceptance not supported with CPU sampling",
    ),
    "a rank needs a NUMA node": ("utils/ompmultiprocessing.py", "Not enough allowed NUMA nodes"),
    "offloading connectors need a device": (
        "v1/kv_offload/cpu/spec.py",
        "CPU Offloading is currently only supported on",
    ),
    "marks of parallel drafts": ("v1/spec_decode/llm_base_proposer.py", "dspark_noise_token_id"),
    "mtp depth": ("config/speculative.py", "must be divisible by {n_predict=}"),
}


@pytest.mark.parametrize("finding", PINS)
def test_the_line_still_stands(finding: str) -> None:
    assert SOURCE is not None
    file, text = PINS[finding]
    assert text in (SOURCE / file).read_text()


def test_the_first_runner_never_reads_the_block_method() -> None:
    assert SOURCE is not None
    assert '"block"' not in (SOURCE / "v1/sample/rejection_sampler.py").read_text()


def test_the_custom_class_is_not_told_k() -> None:
    assert SOURCE is not None
    runner = (SOURCE / "v1/worker/gpu_model_runner.py").read_text()
    start = runner.index("cast(Any, self.drafter).propose(")
    call = runner[start : runner.index(")", start + len("cast(Any, self.drafter).propose("))]
    assert "num_speculative_tokens" not in call
    assert "num_spec" not in call.replace("num_tokens_no_spec", "")


def test_the_standalone_draft_speculator_ignores_the_scheduled_k() -> None:
    assert SOURCE is not None
    text = (SOURCE / "v1/worker/gpu/spec_decode/standalone_ar/speculator.py").read_text()
    assert text.count("num_speculative_tokens") == 1, "it is taken as an argument and used nowhere"


def test_cpu_kv_dtypes_are_those_of_the_backend() -> None:
    assert SOURCE is not None
    text = (SOURCE / "v1/attention/backends/cpu_attn.py").read_text()
    listed = re.search(r"supported_kv_cache_dtypes[^=]*= \[([^\]]*)\]", text)
    assert listed is not None
    assert tuple(re.findall(r'"(\w+)"', listed[1])) == CPU_KV_DTYPES


def test_an_8_bit_kv_cache_asks_x86_for_avx512_or_amx() -> None:
    assert SOURCE is not None
    text = (SOURCE / "v1/attention/backends/cpu_attn.py").read_text()
    assert "if fp8_kv and not supports_amx and not supports_avx512:" in text
    assert {"avx512f", "amx_tile"} == FP8_KV_INSTRUCTIONS


def test_every_speculative_method_has_a_section_or_a_reason() -> None:
    """The methods of vLLM's own type, read from its source."""
    assert SOURCE is not None
    names = _literals((SOURCE / "config/speculative.py").read_text())
    methods = set().union(
        *(names[key] for key in names if key.endswith("Types") or key == "SpeculativeMethod")
    )
    ours = {
        "ngram", "ngram_gpu", "suffix", "draft_model", "eagle", "eagle3", "mtp", "medusa", "dflash", "dspark",
        "custom_class",
    }  # fmt: skip
    assert methods == ours | set(WITHOUT_RUNNER) | set(MTP_NAMES)
    async_allowed = names["EagleModelTypes"] | names["NgramGPUTypes"] | {"draft_model", "dspark", "dflash"}
    assert not set(HOST_DRAFTERS) & async_allowed


def _literals(text: str) -> dict[str, set[str]]:
    """Names of string literals in module-level `X = Literal[...]`; names inside are those of other types."""
    found: dict[str, set[str]] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript):
            name = getattr(node.targets[0], "id", "")
            found[name] = {n.value for n in ast.walk(node.value.slice) if isinstance(n, ast.Constant)}
            for inner in ast.walk(node.value.slice):
                if isinstance(inner, ast.Name):
                    found[name] |= found.get(inner.id, set())
    return found


def test_targets_that_hand_out_inner_layers_are_those_of_the_registry() -> None:
    assert SOURCE is not None
    folder = SOURCE / "model_executor" / "models"
    bases: dict[str, list[str]] = {}
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                names = [getattr(base, "id", getattr(base, "attr", "")) for base in node.bases]
                bases.setdefault(node.name, []).extend(names)
    registered = re.findall(r'"(\w+)":\s*\(\s*"\w+",\s*"(\w+)"', (folder / "registry.py").read_text())

    def derives(name: str, seen: frozenset[str] = frozenset()) -> bool:
        if name == "SupportsEagle3":
            return True
        return any(derives(base, seen | {name}) for base in bases.get(name, []) if base not in seen)

    assert {architecture for architecture, name in registered if derives(name)} == EAGLE3_TARGETS


#: Fields of vLLM's SpeculativeConfig that no section has, and why.
NOT_DECLARED = {
    "tensor_parallel_size": "vLLM itself refuses it in favour of draft_tensor_parallel_size",
    "revision": "part of the model's name: org/name@revision",
    "code_revision": "models are fetched at one revision before the start",
    "draft_load_config": "an object that a command line has no room for",
    "target_model_config": "set by the engine",
    "target_parallel_config": "set by the engine",
    "draft_model_config": "set by the engine",
    "draft_parallel_config": "set by the engine",
}


def test_every_field_of_the_engines_speculative_config_can_be_declared_or_is_left_out_for_a_reason() -> None:
    assert SOURCE is not None
    tree = ast.parse((SOURCE / "config/speculative.py").read_text())
    (config,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "SpeculativeConfig")
    theirs = {
        n.target.id for n in config.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
    }
    ours: set[str] = set()
    pending: list[type[Section]] = [Speculating]
    while pending:
        section = pending.pop()
        ours |= set(section.model_fields)
        pending += section.__subclasses__()
    assert theirs - ours == set(NOT_DECLARED)
    assert ours - theirs == OURS_ALONE
