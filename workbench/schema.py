"""JSON schema of experiment files: completion and checks in editors."""

from __future__ import annotations

from typing import Any

from serving.config import ServerConfig
from workbench.experiment import AttachSection, Experiment

SCHEMA_FILE = "experiment.schema.json"


def experiment_schema() -> dict[str, Any]:
    """The schema, with the server's sections filled in where the experiment keeps them as they come."""
    schema = Experiment.model_json_schema()
    server = ServerConfig.model_json_schema()
    attach = AttachSection.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "kilotoken experiment"
    definitions = schema.setdefault("$defs", {})
    definitions.update(server.pop("$defs", {}))
    # `model: NAME` is accepted for `model: {name: NAME}`.
    section = server["properties"]["model"]
    server["properties"]["model"] = {"anyOf": [{"type": "string"}, section]}
    definitions["Server"] = server
    definitions["RunningServer"] = attach
    description = schema["properties"]["server"].get("description", "")
    schema["properties"]["server"] = {"$ref": "#/$defs/Server", "description": description}
    # `losslessness: off` is accepted for `losslessness: {asked: false}`.
    switch = schema["properties"]["losslessness"]
    section_only = {"$ref": switch.pop("$ref")}
    switch["anyOf"] = [section_only, {"enum": ["on", "off", True, False]}]
    schema["properties"]["arms"] = {
        "type": "object",
        "description": schema["properties"]["arms"].get("description", ""),
        "additionalProperties": {"anyOf": [{"$ref": "#/$defs/Server"}, {"$ref": "#/$defs/RunningServer"}]},
        "minProperties": 1,
    }
    # Short forms that are read before validation.
    loads = schema["properties"]["loads"]
    loads["anyOf"] = [{"$ref": loads.pop("$ref")}, {"const": "capacity"}]
    find = definitions["PairsSection"]["properties"]["find"]
    number = {key: find.pop(key) for key in ("type", "exclusiveMinimum", "exclusiveMaximum") if key in find}
    find["anyOf"] = [number, {"type": "string", "pattern": r"^\s*[0-9.]+%\s*$"}]
    return schema
