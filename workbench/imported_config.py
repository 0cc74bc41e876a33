"""A `vllm serve ...` line as the YAML file that a person would have written."""

from __future__ import annotations

import yaml

from serving.command_import import import_command
from serving.config import ServerConfig
from serving.engine_build import installed_engine
from serving.vllm_names import names_for
from workbench.experiment import validated

_ORDER = tuple(ServerConfig.model_fields)


def imported_yaml(line: str) -> tuple[str, list[str]]:
    """The configuration as YAML and what was left out, each with its reason.

    Raises:
        ConfigError: if the line cannot be read, or says what no configuration may say.
    """
    engine = installed_engine()
    imported = import_command(line, names_for(engine.version if engine else None))
    validated(ServerConfig, imported.sections, origin="the command")
    ordered = {name: imported.sections[name] for name in _ORDER if name in imported.sections}
    text = yaml.safe_dump(ordered, sort_keys=False, default_flow_style=False, width=100)
    return f"# read from a vLLM command line\n{text}", imported.left_out  # the line itself may hold a key
