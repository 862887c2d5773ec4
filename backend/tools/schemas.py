"""Parameters of tools as JSON schemas: the small part of that language that every model's vendor understands."""

from collections.abc import Mapping
from typing import Any

import jsonschema

from backend.tools.errors import ArgumentsInvalid, ToolInvalid

MAX_PARAMETERS = 20
MAX_NAME_CHARS = 40
MAX_TEXT_CHARS = 500
MAX_ENUM = 50
MAX_STRING_CHARS = 4_000
SIMPLE = ("string", "number", "integer", "boolean")


def checked(schema: Any) -> dict[str, Any]:
    """The same, complete: an object of simple values and lists of them, and nothing else. Raises ToolInvalid."""
    if not isinstance(schema, Mapping) or schema.get("type", "object") != "object":
        raise ToolInvalid("The parameters must be a JSON schema of an object.")
    properties = schema.get("properties", {})
    if not isinstance(properties, Mapping) or len(properties) > MAX_PARAMETERS:
        raise ToolInvalid(f"At most {MAX_PARAMETERS} parameters.")
    known = {_name(name): _property(name, told) for name, told in properties.items()}
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) and name in known for name in required):
        raise ToolInvalid("What is required must be among the properties.")
    return {"type": "object", "properties": known, "required": required, "additionalProperties": False}


def simplified(schema: Any) -> dict[str, Any]:
    """Of somebody else's schema what can be told: parameters that are neither simple nor lists are told as strings."""
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    known: dict[str, Any] = {}
    for name, told in (properties if isinstance(properties, Mapping) else {}).items():
        if len(known) >= MAX_PARAMETERS or not isinstance(name, str) or not name.isidentifier():
            continue
        try:
            known[name] = _property(name, told)
        except ToolInvalid:
            known[name] = {"type": "string"}
    required = schema.get("required", []) if isinstance(schema, Mapping) else []
    wanted = [name for name in required if name in known] if isinstance(required, list) else []
    return {"type": "object", "properties": known, "required": wanted, "additionalProperties": False}


def check_arguments(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Raises ArgumentsInvalid, which names the parameter and the schema's rule, and not its value."""
    try:
        jsonschema.validate(dict(arguments), dict(schema))
    except jsonschema.ValidationError as exc:
        place = ".".join([str(part) for part in exc.absolute_path] or _told_apart(arguments, schema))
        raise ArgumentsInvalid(details={"parameter": place[:100], "rule": str(exc.validator)}) from exc
    for name, value in arguments.items():
        if isinstance(value, str) and len(value) > MAX_STRING_CHARS:
            raise ArgumentsInvalid(details={"parameter": name, "rule": "maxLength"})


def _told_apart(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """The first that is missing, else the first that is unknown."""
    missing = [name for name in schema.get("required", []) if name not in arguments]
    return [*missing, *(name for name in arguments if name not in schema.get("properties", {}))][:1]


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name.isidentifier() or not name.isascii() or len(name) > MAX_NAME_CHARS:
        raise ToolInvalid("A parameter's name has letters, digits and underscores, and begins with a letter.")
    return name


def _property(name: str, told: Any) -> dict[str, Any]:
    if not isinstance(told, Mapping):
        raise ToolInvalid(f"{name}: must be a schema.")
    kind = told.get("type", "string")
    if kind == "array":
        items = told.get("items", {})
        inner = items.get("type") if isinstance(items, Mapping) else None
        if inner not in SIMPLE:
            raise ToolInvalid(f"{name}: a list must be of {', '.join(SIMPLE)}.")
        found: dict[str, Any] = {"type": "array", "items": {"type": inner}, "maxItems": MAX_ENUM}
    elif kind in SIMPLE:
        found = {"type": kind}
    else:
        raise ToolInvalid(f"{name}: the type must be one of {', '.join((*SIMPLE, 'array'))}.")
    choices = told.get("enum")
    if choices is not None:
        if kind != "string" or not isinstance(choices, list) or not 0 < len(choices) <= MAX_ENUM:
            raise ToolInvalid(f"{name}: choices are a list of at most {MAX_ENUM} texts.")
        found["enum"] = [str(choice)[:MAX_TEXT_CHARS] for choice in choices]
    if description := told.get("description"):
        found["description"] = str(description)[:MAX_TEXT_CHARS]
    return found
