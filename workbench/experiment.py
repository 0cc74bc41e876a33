"""One question asked of one machine: arms, workloads, loads, price, SLO, repeats, seeds. Data, not code.

Read from a YAML file, strict and frozen. `server:` holds what all arms share; an arm states only what is
different about it. A whole `speculation:` section is replaced, other sections are merged by field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, model_validator

from accounting.errors import ConfigError
from accounting.prices import Price
from accounting.slo import Slo
from accounting.verdicts import COMPLETIONS_PER_STREAM, MINIMUM_WINDOW_S
from serving.config import ServerConfig
from serving.section import Section, as_tuple
from workbench.config_messages import config_error
from workbench.loads import LoadSection
from workbench.losslessness_section import LosslessnessSection
from workbench.pairs import BudgetSection, PairsSection
from workbench.price_dates import refuse_future
from workbench.strict_yaml import parse_yaml, read_yaml

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


def _as_date(value: Any) -> Any:
    """Accept a date in quotes as well."""
    return TypeAdapter(date).validate_python(value) if isinstance(value, str) else value


M = TypeVar("M", bound=Section)


class PriceSection(Section):
    """What the box costs. Rent already contains electricity."""

    usd_per_hour: Annotated[float, Field(gt=0)]
    """USD per hour for the whole box."""
    source: Annotated[str, Field(min_length=1)]
    """Where the amount comes from: a price page, an invoice, or 'declared for this example'."""
    as_of: Annotated[date, BeforeValidator(_as_date)]
    """Day on which the source said so (YYYY-MM-DD), not after today. No dollars without a date."""

    @model_validator(mode="before")
    @classmethod
    def _is_in_usd(cls, data: Any) -> Any:
        for key in data if isinstance(data, Mapping) else ():
            other = str(key).endswith("_per_hour") and key != "usd_per_hour"
            if other or key == "currency":
                raise ValueError(
                    f"`{key}`: prices are in USD, so that costs can be compared; give `usd_per_hour`, and say in "
                    "`source` how the amount was converted"
                )
        return data

    def to_price(self) -> Price:
        """As the value that accounting reckons with."""
        return Price(self.usd_per_hour, self.source, self.as_of)


class SloSection(Section):
    """Limits that one request must all meet, and the share of requests that must meet them."""

    ttft_s: Annotated[float, Field(gt=0)] | None = 1.0
    """Time to first token, seconds; null for no limit."""
    tpot_s: Annotated[float, Field(gt=0)] | None = 0.033
    """Time per output token, seconds (a reader needs about 30 tokens/s); null for no limit."""
    e2e_s: Annotated[float, Field(gt=0)] | None = None
    """Intended send to last token, seconds; null for no limit."""
    attainment_floor: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Share of requests that must meet every limit."""

    @model_validator(mode="before")
    @classmethod
    def _has_a_floor(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("attainment_floor", 0) is None:
            raise ValueError(
                "attainment_floor is null: limits bind nobody without the share of requests that must meet them; "
                "write for example 0.95"
            )
        return data

    @model_validator(mode="after")
    def _limits_go_together(self) -> Self:
        limits = {"ttft_s": self.ttft_s, "tpot_s": self.tpot_s, "e2e_s": self.e2e_s}
        if all(limit is None for limit in limits.values()):
            raise ValueError("an SLO needs at least one limit, in seconds: ttft_s, tpot_s or e2e_s")
        for name, part in (("ttft_s", "its first token"), ("tpot_s", "one token")):
            limit = limits[name]
            if self.e2e_s is not None and limit is not None and self.e2e_s < limit:
                default = "" if name in self.model_fields_set else ", the default"
                raise ValueError(
                    f"e2e_s ({self.e2e_s:g}) is below {name} ({limit:g}{default}): a whole answer cannot be allowed less "
                    f"time than {part}; raise e2e_s, lower {name}, or write `{name}: null` for no limit"
                )
        if self.model_fields_set and "attainment_floor" not in self.model_fields_set:
            raise ValueError(
                "attainment_floor is missing: limits bind nobody without the share of requests that must meet them; "
                "write for example `attainment_floor: 0.95`"
            )
        return self

    def to_slo(self) -> Slo:
        """As the value that accounting reckons with."""
        return Slo(self.ttft_s, self.tpot_s, self.e2e_s, self.attainment_floor)


class OutputSection(Section):
    """How long answers are. An arm that ends answers earlier looks faster: only equal lengths are equal work."""

    length: Literal["free", "fixed", "natural"] = "free"
    """free: answers end by themselves, at most `max_tokens`. fixed: exactly `max_tokens`; text past the natural end
    flatters speculation. natural: each prompt's own greedy length (at most `max_tokens`), recorded once on the
    baseline before the first block, then exact for every arm."""
    max_tokens: Annotated[int, Field(ge=1, le=131072)] = 128
    """Most tokens of an answer; a prompt's own `max_tokens` may lower it."""

    @model_validator(mode="before")
    @classmethod
    def _says_length(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "ignore_eos" in data:
            raise ValueError(
                "`ignore_eos` is now spelled `length`: write `length: fixed` for `ignore_eos: true`, "
                "`length: free` for `ignore_eos: false`, or `length: natural`"
            )
        return data


class WindowSection(Section):
    """When a cell's numbers count."""

    minimum_s: Annotated[float, Field(gt=0)] = MINIMUM_WINDOW_S
    """Shortest steady window, seconds; below 25 s throughput is marked too_short."""
    limit_s: Annotated[float, Field(gt=0)] = 120.0
    """Longest steady window, seconds, if completions are slow to come."""
    completions_per_stream: Annotated[int, Field(ge=1)] = COMPLETIONS_PER_STREAM
    """Answers needed inside the window, times streams."""
    warm_up_s: Annotated[float, Field(ge=0)] = 3.0
    """Warm-up at the tested concurrency, seconds, with prompts that are never measured."""

    @model_validator(mode="after")
    def _limit_is_longer(self) -> Self:
        if self.limit_s < self.minimum_s:
            raise ValueError(f"limit_s ({self.limit_s:g}) must not be below minimum_s ({self.minimum_s:g})")
        return self


class AttachSection(Section):
    """A server that already runs, vLLM or any other OpenAI-compatible one: loaded, never started or stopped."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")]
    """Base URL, with or without a trailing /v1."""
    model: Annotated[str, Field(min_length=1)] | None = None
    """Name under which the model is served; the first one listed by default."""
    api_key_env: Annotated[str, Field(min_length=1)] | None = None
    """Environment variable that holds the API key. The key itself never goes into a file."""


#: An arm as a whole: a server to start, or one that runs already.
ArmConfig = ServerConfig | AttachSection


class Experiment(Section):
    """One question asked of one machine."""

    name: Name
    """Short name; part of the run directory's name."""
    question: str = ""
    """The question in a sentence; shown in the report."""
    server: dict[str, Any] = Field(default_factory=dict)
    """What all arms share: sections model, speculation, batching, kv_cache, engine."""
    arms: dict[Name, dict[str, Any]]
    """Name -> what is different about this arm, or `url:` for a server that already runs."""
    baseline: Name | None = None
    """The arm that the others are compared with; the first by default."""
    workloads: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(as_tuple)]
    """Built-in workloads (chat, copy, story, code, shared), files (`mt-bench:question.jsonl`), or mixes (`chat*0.7+copy*0.3`)."""
    loads: LoadSection
    """Loads; `capacity` for each arm's own highest load under the SLO."""
    output: OutputSection = OutputSection()
    """Answer length."""
    window: WindowSection = WindowSection()
    """Steady window and warm-up."""
    repeats: Annotated[int, Field(ge=1, le=100)] = 4
    """Blocks per arm: each is one server life. Below four the comparison says "too few blocks"."""
    pairs: PairsSection | None = None
    """The number of pairs from a pilot, instead of `repeats`."""
    budget: BudgetSection | None = None
    """What the run may take in hours and dollars."""
    seed: int = 1
    """Order of arms, cells and prompts."""
    workload_seed: int = 1
    """Contents of generated prompts."""
    request_timeout_s: Annotated[float, Field(gt=0)] = 300.0
    """Seconds after which a request counts as failed."""
    price: PriceSection
    """Price of the box."""
    slo: SloSection = SloSection()
    """Service-level objective."""
    losslessness: LosslessnessSection = LosslessnessSection()
    """Whether speculation changed the answers: asked of every arm that speculates where the baseline does not."""

    @model_validator(mode="before")
    @classmethod
    def _one_load_too(cls, data: Any) -> Any:
        """`load: capacity` reads better than `loads: capacity`; both are the same."""
        if isinstance(data, Mapping) and "load" in data and "loads" not in data:
            return {("loads" if key == "load" else key): value for key, value in data.items()}
        return data

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if not self.arms:
            raise ValueError("at least one arm is needed")
        if self.baseline is not None and self.baseline not in self.arms:
            raise ValueError(f"baseline {self.baseline!r} is not an arm; arms: {', '.join(self.arms)}")
        if not self.workloads or len(set(self.workloads)) != len(self.workloads):
            raise ValueError("workloads must hold at least one value and none twice")
        if not self.loads.streams and self.output.length == "natural":
            raise ValueError(
                "output.length: natural goes with loads.streams only: how many prompts a search or a rate will use is "
                "not known when their lengths are recorded; write `length: free` or `length: fixed`"
            )
        if self.pairs is not None and "repeats" in self.model_fields_set:
            raise ValueError("give repeats (a number of pairs) or pairs (a number from a pilot), not both")
        if self.pairs is not None and self.loads.rates:
            raise ValueError(
                "pairs follow from the spread of cost, which a fixed offered rate decides itself; write `repeats`, or "
                "`loads: {streams: [...]}` or `loads: capacity`"
            )
        for limit_name, limit in (("ttft_s", self.slo.ttft_s), ("e2e_s", self.slo.e2e_s)):
            if limit is not None and limit > self.request_timeout_s:
                raise ValueError(
                    f"slo.{limit_name} ({limit:g}) is above request_timeout_s ({self.request_timeout_s:g}): answers that "
                    "the SLO allows would be given up as failed; raise request_timeout_s"
                )
        labels = [workload_label(workload) for workload in self.workloads]
        if len(set(labels)) != len(labels):
            raise ValueError("two workload files have the same name: cells are named after it, rename one")
        return self

    @property
    def laid_out_repeats(self) -> int:
        """Repeats that are planned: with a pilot as many as it may ask for."""
        return self.repeats if self.pairs is None else self.pairs.pilot + self.pairs.most

    @property
    def baseline_arm(self) -> str:
        """Name of the baseline."""
        return self.baseline or next(iter(self.arms))

    def arm_configs(self, *, origin: str) -> dict[str, ArmConfig]:
        """Every arm as a whole configuration.

        Raises:
            ConfigError: naming the arm and the key.
        """
        return {name: self._arm(name, origin) for name in self.arms}

    def _arm(self, name: str, origin: str) -> ArmConfig:
        own = self.arms[name]
        place = f"{origin}: arms.{name}"
        if "attach" in own:
            raise ConfigError(
                f"{place}: write `url: http://...` in the arm itself; `attach:` is no longer known."
            )
        if "url" in own:
            return validated(AttachSection, own, origin=place)
        return validated(ServerConfig, merge_sections(self.server, own), origin=place)


def workload_label(workload: str) -> str:
    """A workload's name as a folder's: without directories and extension; the rest of a mix or of options joined by dashes."""
    last = re.sub(r"[^+*?&=:]*/", "", workload)
    words = re.sub(r"\.(jsonl?|csv)(\.gz)?(?=$|[?*+])", "", last)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", words).strip("-.")[:64] or "workload"


def validated(model: type[M], data: Any, *, origin: str) -> M:
    """Validate strictly.

    Raises:
        ConfigError: naming every wrong key.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise config_error(error, model, origin=origin) from error


def merge_sections(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """An arm's own sections over the shared ones, field by field; `speculation` is replaced whole."""
    merged = dict(shared)
    for section, values in own.items():
        below = merged.get(section)
        if section == "model":
            below = {"name": below} if isinstance(below, str) else below
            values = {"name": values} if isinstance(values, str) else values
        if section != "speculation" and isinstance(below, Mapping) and isinstance(values, Mapping):
            merged[section] = {**below, **values}
        else:
            merged[section] = values
    return merged


def load_experiment(path: Path) -> Experiment:
    """Read and check an experiment and all its arms.

    Raises:
        ConfigError: saying what is wrong, what is allowed, what to do.
    """
    experiment = _checked(read_yaml(path), str(path))
    # Not of recorded runs: they stay readable where a clock is wrong.
    refuse_future(f"{path}: price", experiment.price.as_of, datetime.now(UTC).date())
    return experiment


def parse_experiment(text: str, *, origin: str) -> Experiment:
    """The same from text."""
    return _checked(parse_yaml(text, origin=origin), origin)


def _checked(data: dict[str, Any], origin: str) -> Experiment:
    experiment = validated(Experiment, data, origin=origin)
    experiment.arm_configs(origin=origin)
    return experiment


def load_server_config(path: Path) -> ServerConfig:
    """Read a server configuration for `kilotoken serve`.

    Raises:
        ConfigError: saying what is wrong.
    """
    config = load_server(path)
    if isinstance(config, AttachSection):
        raise ConfigError(
            f"{path}: `url:` names a server that already runs; a configuration to start one is needed here.",
            hint="Give `model:` instead of `url:`.",
        )
    return config


def load_server(path: Path) -> ArmConfig:
    """Read one server: `model:` and how to start it, or the `url:` of one that already runs.

    Raises:
        ConfigError: saying what is wrong.
    """
    data = read_yaml(path)
    if "url" in data:
        return validated(AttachSection, data, origin=str(path))
    return validated(ServerConfig, data, origin=str(path))
