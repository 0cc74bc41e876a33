"""An estimate as plain values: what the model needs, what the device gives, and what follows, in the order of the reasoning."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from accounting.electricity import JOULES_PER_KWH
from accounting.estimate.cache_bytes import bytes_per_token, sequence_bytes, state_elements
from accounting.estimate.feasible import SloReach, slo_reach
from accounting.estimate.operations import (
    attention_flops,
    crossings,
    decode_flops,
    head_flops,
    prefill_flops,
    projection_flops,
)
from accounting.estimate.parameters import (
    Parameters,
    active_parameters,
    expected_experts,
    parameters,
)
from accounting.estimate.placement import Placement
from accounting.estimate.serving_estimate import Drafting, Load, ServingEstimate, estimate
from accounting.estimate.shape import Experts
from accounting.estimate.step_time import StepTime, repeats_its_cache
from accounting.estimate.weight_bytes import Format, weight_bytes
from accounting.holding import rented, usd_per_1k
from accounting.prices import Price
from accounting.slo import Slo
from workbench.estimate_parallel import parallelism
from workbench.estimate_training import Training, training

Document = dict[str, Any]
FORMAT = "kilotoken-estimate/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an estimate is asked for. `price` is that of one device hour, None where no dollars are wanted. `stored`: the number
    format of a quantised checkpoint, None for one in 16 or 32 bits.
    """

    placed: Placement
    load: Load
    drafting: Drafting | None = None
    price: Price | None = None
    duty_cycle: float = 1.0
    slo: Slo = field(default_factory=Slo)
    stored: Format | None = None
    training: Training | None = None
    notes: tuple[str, ...] = ()


def estimate_document(asked: Asked) -> Document:
    """Everything that `kilotoken estimate --json` says."""
    placed, load = asked.placed, asked.load
    found = estimate(placed, load, asked.drafting)
    return {
        "format": FORMAT,
        "model": _model(placed),
        "device": _device(placed),
        "load": asdict(load) | {"context": load.context},
        "memory": _memory(asked, found),
        "operations": _operations(placed, load),
        "step": _step(found.step),
        "prefill": _step(found.prefill),
        "prefill_together": _step(found.prefill_together) | {"prompts": found.round.prompts},
        "parallelism": parallelism(placed, found),
        "speculation": _speculation(asked.drafting, found),
        "ttft_s": found.ttft_s,
        "last_ttft_s": found.last_ttft_s,
        "tpot_s": found.tpot_s,
        "output_tokens_per_s": found.tokens_per_s,
        "prefill_share_of_time": found.prefill_share,
        "joules_per_1k_output_tokens": _joules(placed, found),
        "cost": _cost(asked, found),
        "training": None if asked.training is None else training(asked.training, placed, asked.price),
        "slo": _slo(asked.slo, slo_reach(placed, load, asked.slo, asked.drafting)),
        "notes": [*asked.notes, *_notes(placed, found)],
    }


def _model(placed: Placement) -> Document:
    shape = placed.shape
    counted, active = parameters(shape), active_parameters(shape)
    experts = [kind.feed_forward for kind in shape.layers if isinstance(kind.feed_forward, Experts)]
    return {
        "name": shape.name,
        "layers": shape.depth,
        "hidden": shape.hidden,
        "parameters": counted.total,
        "active_parameters": active.total,
        "parameters_by_part": _by_part(counted),
        "weight_bytes": {str(form): weight_bytes(counted, form) for form in Format},
        "experts_touched": {
            str(tokens): expected_experts(experts[0].number, experts[0].chosen, tokens)
            for tokens in (1, 4, 8, 32, 128)
        }
        if experts
        else None,
        "max_context": shape.max_context,
    }


def _by_part(counted: Parameters) -> Document:
    return {part.name: getattr(counted, part.name) for part in fields(counted)}


def _device(placed: Placement) -> Document:
    device = placed.device
    return {
        "name": device.name,
        "devices": placed.devices,
        "tensor": placed.tensor,
        "pipeline": placed.pipeline,
        "data": placed.data,
        "memory_bytes": device.memory_bytes,
        "bandwidth_bytes_per_s": device.bandwidth_bytes_per_s,
        "flops_per_s": device.rate(placed.weights),
        "batched_tokens": device.batched_tokens,
        "step_overhead_s": device.step_overhead_s,
        "token_overhead_s": device.token_overhead_s,
        "layer_overhead_s": device.layer_overhead_s,
        "layer_token_overhead_s": device.layer_token_overhead_s,
        "bandwidth_share": placed.bandwidth_share,
        "compute_share": placed.compute_share,
        "source": device.source,
        "as_of": device.as_of.isoformat(),
    }


def _memory(asked: Asked, found: ServingEstimate) -> Document:
    placed, load, drafting = asked.placed, asked.load, asked.drafting
    shape, element = placed.shape, placed.cache_element_bytes
    draft = None if drafting is None else drafting.draft
    return {
        "weights": str(placed.weights),
        "weight_bytes": placed.weight_bytes,
        "weight_bytes_per_device": placed.device_weight_bytes,
        "cache_bytes_per_token": bytes_per_token(shape, element),
        "state_bytes_per_sequence": state_elements(shape) * 2.0,
        "sequence_bytes": sequence_bytes(shape, load.longest, element_bytes=element),
        "draft_weight_bytes_per_device": None if draft is None else draft.device_weight_bytes,
        "largest_batch": found.largest_batch,
        "fits": found.fits,
    }


def _operations(placed: Placement, load: Load) -> Document:
    shape = placed.shape
    causal, open_ = crossings(shape, causal=True), crossings(shape, causal=False)
    return {
        "prefill_flops": prefill_flops(shape, load.input_tokens),
        "decode_flops_per_token": decode_flops(shape, load.context),
        "of_projections": projection_flops(shape),
        "of_attention": attention_flops(shape, load.context),
        "of_head": head_flops(shape),
        "attention_equals_its_projections_at": None if causal is None else causal.projections,
        "attention_exceeds_all_else_at": None if causal is None else causal.all_else,
        "without_a_mask": None if open_ is None else [open_.projections, open_.all_else],
    }


def _step(step: StepTime) -> Document:
    return asdict(step) | {"seconds": step.seconds, "bound": step.bound}


def _speculation(drafting: Drafting | None, found: ServingEstimate) -> Document | None:
    if drafting is None:
        return None
    return {
        "accepted": list(drafting.accepted),
        "tokens_per_step": found.tokens_per_step,
        "drafting_s": found.drafting_s,
    }


def _joules(placed: Placement, found: ServingEstimate) -> Document:
    watts = placed.device.board_watts
    if watts is None:
        return {"value": None, "reason": f"device {placed.device.name} states no board power"}
    value = watts * placed.devices / found.tokens_per_s * 1000.0
    return {"value": value, "reason": None, "basis": "every board at its full power: an upper limit",
            "kwh": value / JOULES_PER_KWH}  # fmt: skip


def _cost(asked: Asked, found: ServingEstimate) -> Document:
    price = asked.price
    if price is None:
        return {
            "usd_per_1k_output_tokens": None,
            "reason": "no price was given: --price NAME or --usd-per-hour X",
        }
    holding = rented(price.usd_per_hour * asked.placed.devices)
    at_duty = usd_per_1k(holding, found.tokens_per_s, duty_cycle=asked.duty_cycle)
    return {
        "usd_per_1k_output_tokens": at_duty,
        "usd_per_1m_output_tokens": at_duty * 1000.0,
        "usd_per_request": at_duty * asked.load.output_tokens / 1000.0,
        "usd_per_1k_at_full_duty": usd_per_1k(holding, found.tokens_per_s),
        "input_share": found.prefill_share,
        "output_share": 1.0 - found.prefill_share,
        "duty_cycle": asked.duty_cycle,
        "usd_per_hour": holding.usd_per_calendar_hour(1.0),
        "source": price.source,
        "as_of": price.as_of.isoformat(),
        "reason": None,
    }


def _slo(slo: Slo, reach: SloReach) -> Document:
    return {
        "ttft_s": slo.ttft_s,
        "tpot_s": slo.tpot_s,
        "e2e_s": slo.e2e_s,
        "met": reach.met,
        "largest_batch_that_meets_it": reach.largest_batch,
        "sentence": reach.sentence,
    }


def _notes(placed: Placement, found: ServingEstimate) -> list[str]:
    notes = []
    if not found.fits:
        notes.append(
            f"a batch of {found.load.batch} does not fit: {found.largest_batch} sequences of {found.load.longest} tokens do"
            if found.largest_batch
            else "the weights and one sequence do not fit on these devices"
        )
    if repeats_its_cache(placed):
        notes.append("tensor-parallel devices hold the same keys and values several times over")
    limit = placed.shape.max_context
    if limit is not None and found.load.longest > limit:
        notes.append(f"{found.load.longest} tokens are more than the model's context of {limit}")
    if placed.pipeline > 1 and placed.device.link_bytes_per_s is None:
        notes.append(
            f"device {placed.device.name} states no link to its neighbours: what stages hand over is taken to cost no time"
        )
    if not placed.device.computes_in(placed.weights):
        notes.append(
            f"device {placed.device.name} states no rate in {placed.weights}: operations are taken at its bfloat16 rate"
        )
    if placed.bandwidth_share == placed.compute_share == 1.0 and not placed.device.rows_flops_per_s:
        notes.append(
            "a roofline: nothing real is faster, but for prompts that share a step with decoding; --bandwidth-share and "
            "--compute-share say how near it comes"
        )
    return notes
