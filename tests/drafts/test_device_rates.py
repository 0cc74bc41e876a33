"""What is known of a device without multiplying anything: a GPU's own memory."""

from __future__ import annotations

from types import SimpleNamespace

from drafts.device_rates import _memory


def test_a_gpu_says_its_memory_and_a_cpu_leaves_it_to_the_machine() -> None:
    card = SimpleNamespace(total_memory=24 * 2**30)
    torch = SimpleNamespace(cuda=SimpleNamespace(get_device_properties=lambda _number: card))
    assert _memory(torch, "cuda") == {"memory_bytes": 24.0 * 2**30}
    assert _memory(torch, "cpu") == {}
