"""As much of JSON Schema (2020-12) as the files in schema/ use, and one thing more: a member that
the schema does not describe is a fault of the schema."""
import json
import re
from pathlib import Path

SCHEMA = Path(__file__).resolve().parents[2] / "schema"
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool,
         "null": type(None)}


def load(name):
    return json.loads((SCHEMA / name).read_text())


def has_type(value, name):
    return isinstance(value, TYPES[name]) and not (name == "integer" and isinstance(value, bool))


def fault(value, schema, whole, at="$"):
    """None, or the first thing that is wrong."""
    if "$ref" in schema:
        part = whole
        for key in schema["$ref"].removeprefix("#/").split("/"):
            part = part[key]
        return fault(value, part, whole, at)
    if "oneOf" in schema:
        faults = [fault(value, option, whole, at) for option in schema["oneOf"]]
        return None if faults.count(None) == 1 else f"{at}: {faults}"
    types = schema.get("type")
    if types and not any(has_type(value, t) for t in ([types] if isinstance(types, str) else types)):
        return f"{at} is {value!r}, not {types}"
    if "const" in schema and value != schema["const"] or value not in schema.get("enum", [value]):
        return f"{at} is {value!r}"
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        return f"{at} is {value!r}"
    if isinstance(value, int) and value < schema.get("minimum", value):
        return f"{at} is {value!r}"
    return fault_inside(value, schema, whole, at)


def fault_inside(value, schema, whole, at):
    if isinstance(value, dict) and "properties" in schema:
        missing = set(schema.get("required", [])) - set(value)
        unknown = set(value) - set(schema["properties"])
        if missing or unknown:
            return f"{at}: missing {missing}, not described {unknown}"
        parts = [(f"{at}.{k}", v, schema["properties"][k]) for k, v in value.items()]
    elif isinstance(value, list) and "items" in schema:
        parts = [(f"{at}[{i}]", v, schema["items"]) for i, v in enumerate(value)]
    else:
        return None
    return next((f for where, v, s in parts if (f := fault(v, s, whole, where))), None)


def check(value, name):
    schema = load(name)
    wrong = fault(value, schema, schema)
    assert wrong is None, wrong
