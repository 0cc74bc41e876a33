"""`--unchecked` reaches every section that serves weights of its own, and no other."""

from serving.config import ServerConfig
from workbench.experiment import parse_experiment
from workbench.unchecked_drafts import with_unchecked_draft, with_unchecked_drafts

EXPERIMENT = """
name: unchecked
question: does it?
server:
  model: smollm2-135m-instruct
  speculation: {method: draft_model, model: ./draft, num_speculative_tokens: 2}
arms:
  off: {speculation: {method: "off"}}
  shared: {}
  head: {speculation: {method: eagle3, model: ./head, num_speculative_tokens: 3}}
  ngram: {speculation: {method: ngram, num_speculative_tokens: 3}}
  custom: {speculation: {method: custom_class, model: a.B, num_speculative_tokens: 1}}
workloads: [chat]
loads: {streams: [1]}
price: {usd_per_hour: 1.0, source: test, as_of: 2026-01-01}
slo: {ttft_s: 1.0, tpot_s: null, attainment_floor: 0.95}
"""


def test_every_arm_with_weights_of_its_own_is_served_unchecked() -> None:
    experiment = parse_experiment(EXPERIMENT, origin="x")
    configs = with_unchecked_drafts(experiment).arm_configs(origin="x")
    said = {name: getattr(config.speculation, "unchecked", None) for name, config in configs.items()}  # type: ignore[union-attr]
    assert said == {"off": None, "shared": True, "head": True, "ngram": None, "custom": None}
    untouched = experiment.arm_configs(origin="x")
    assert untouched["head"].speculation.unchecked is False  # type: ignore[union-attr]


def test_one_server() -> None:
    head = {"method": "eagle3", "model": "h", "num_speculative_tokens": 3}
    assert with_unchecked_draft(ServerConfig.model_validate({"speculation": head})).speculation.unchecked  # type: ignore[union-attr]
    assert with_unchecked_draft(ServerConfig()) == ServerConfig()
