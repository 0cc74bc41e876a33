"""What is asked of the server: generated workloads and prompts read from files, split by template."""

from loadtest.workloads.catalogue import load_workload
from loadtest.workloads.prompt import Message, Prompt, Split, Workload

__all__ = ["Message", "Prompt", "Split", "Workload", "load_workload"]
