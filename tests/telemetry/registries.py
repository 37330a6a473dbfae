"""The GenAI conventions' own registries, and a check of what we emit against them."""

from __future__ import annotations

import importlib
import json
import pkgutil
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import opentelemetry.semconv._incubating.attributes as incubating
import opentelemetry.semconv.attributes as stable
import yaml

from tests.required import missing

FOLDER = Path(__file__).parents[3] / "shared" / "semconv"

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "int": int,
    "double": float,
    "boolean": bool,
    "string[]": tuple,
    "any": str,
}


_OPEN = frozenset({"error.type", "gen_ai.operation.name", "gen_ai.provider.name"})


class Metric(NamedTuple):
    unit: str
    instrument: str
    buckets: tuple[float, ...] | None
    required: frozenset[str]


class Registry(NamedTuple):
    """What one dialect says of the span of an inference and of its metrics."""

    attributes: dict[str, str]
    """Name -> type."""
    required: frozenset[str]
    at_start: frozenset[str]
    metrics: dict[str, Metric]
    values: dict[str, frozenset[str]]
    """The known values of an attribute. Of operations and providers others are allowed."""

    def wrong(self, attributes: dict[str, Any], also: frozenset[str] = frozenset()) -> list[str]:
        """What is wrong with these: missing, of another type, or under a name that is no one's."""
        faults = [f"{name} is missing" for name in self.required - attributes.keys()]
        for name, value in attributes.items():
            if name in self.attributes:
                wanted = _TYPES[self.attributes[name]]
                if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
                    faults.append(f"{name} is {value!r}, not {self.attributes[name]}")
                if name not in _OPEN and value not in self.values.get(name, (value,)):
                    faults.append(f"{name} is {value!r}, which is no known value")
            elif name.startswith("gen_ai.") and name not in also:
                faults.append(f"{name} is not of the conventions")
            elif not name.startswith(("gen_ai.", "openrouter.")) and name not in general_names():
                faults.append(f"{name} is nobody's name")
        names = sorted(attributes)
        faults += [
            f"{name} is a name and a namespace"
            for name in names
            if any(other.startswith(name + ".") for other in names)
        ]
        return faults


@cache
def main() -> Registry:
    """The main branch, as flattened from its pages."""
    flat = json.loads((_existing() / "genai-main-2026-10" / "inference.flat.json").read_text())
    attributes = flat["span"]["attributes"]
    return Registry(
        {name: said["type"] for name, said in attributes.items() if "template" not in said["type"]},
        frozenset(n for n, said in attributes.items() if said["requirement"] == "required"),
        frozenset(flat["span"]["at_start"]),
        {
            name: Metric(
                said["unit"],
                said["instrument"],
                tuple(said["buckets"]) if "buckets" in said else None,
                frozenset(said.get("requires", ())),
            )
            for name, said in flat["metrics"].items()
        },
        {name: frozenset(values) for name, values in flat["enums_open"].items()},
    )


@cache
def v1_42(of: str = "inference") -> Registry:
    """The resolved registry of v1.42.0-dev, with the span of an inference or of embeddings."""
    path = _existing() / "genai-v1.42.0-dev" / "schema-snapshot" / "registry.yaml"
    registry = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["registry"]
    (span,) = (s for s in registry["spans"] if s["type"] == f"gen_ai.{of}.client")
    assert span["kind"] == "client"
    attributes = span["attributes"]
    return Registry(
        {a["key"]: a["type"] if isinstance(a["type"], str) else "string" for a in attributes},
        _required(attributes),
        frozenset(a["key"] for a in attributes if a.get("sampling_relevant")),
        {
            m["name"]: Metric(
                m["unit"].replace("\\u0027", ""),  # as the snapshot was escaped
                m["instrument"],
                None,
                _required(m["attributes"]),
            )
            for m in registry["metrics"]
        },
        {
            a["key"]: frozenset(member["value"] for member in a["type"]["members"])
            for a in attributes
            if not isinstance(a["type"], str)
        },
    )


@cache
def general_names() -> frozenset[str]:
    """Every attribute of the conventions at large, as OpenTelemetry's own package spells them."""
    return frozenset(
        value
        for package in (stable, incubating)
        for module in pkgutil.iter_modules(package.__path__)
        for value in vars(importlib.import_module(f"{package.__name__}.{module.name}")).values()
        if isinstance(value, str)
    )


def _required(attributes: list[dict[str, Any]]) -> frozenset[str]:
    return frozenset(a["key"] for a in attributes if a["requirement_level"] == "required")


def _existing() -> Path:
    if not FOLDER.is_dir():
        missing(f"the conventions' registries are not in {FOLDER}")
    return FOLDER


def wrong_messages(form: str, messages: list[dict[str, Any]]) -> list[str]:
    """What is wrong with `input` or `output` messages or `system` instructions, by their schema."""
    kinds = {
        "input": "input-messages",
        "output": "output-messages",
        "system": "system-instructions",
    }
    path = FOLDER / "genai-v1.42.0-dev" / "docs" / "gen-ai" / f"gen-ai-{kinds[form]}.json"
    if not path.exists():
        missing(f"the conventions' schemas are not in {FOLDER}")
    schema = json.loads(path.read_text())["$defs"]
    of_type = {
        kind["properties"]["type"]["const"]: kind
        for kind in schema.values()
        if "const" in kind.get("properties", {}).get("type", {})
    }
    whole = {"input": "ChatMessage", "output": "OutputMessage"}.get(form)
    faults = []
    if whole is not None:
        required = set(schema[whole]["required"])
        faults = [
            f"{message} lacks one of {required}"
            for message in messages
            if required - message.keys()
        ]
        parts = [part for message in messages for part in message["parts"]]
    else:
        parts = messages
    for part in parts:
        kind = of_type.get(part["type"], schema["GenericPart"])
        if set(kind["required"]) - part.keys():
            faults.append(f"{part} lacks one of {kind['required']}")
        content = kind["properties"].get("content", {})
        if content.get("type") == "string" and not isinstance(part["content"], str):
            faults.append(f"the content of {part} is no text")
    return faults
