"""Validates TOML files against a JSON Schema: `schema.py SCHEMA FILE...` prints a line of JSON for each file, the faults in it.

A file whose name begins with `dialect-` holds what stands under `[dialect.NAME]`.
"""

import json
import pathlib
import sys
import tomllib

import jsonschema

schema = json.loads(pathlib.Path(sys.argv[1]).read_text())
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for name in sys.argv[2:]:
    path = pathlib.Path(name)
    try:
        config = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        print(json.dumps({"file": path.name, "faults": [f"not TOML: {error}"]}))
        continue
    if path.name.startswith("dialect-"):
        config = {"dialect": {"own": config}}
    faults = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(config)]
    print(json.dumps({"file": path.name, "faults": faults}))
