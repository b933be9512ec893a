"""Statements through the analyzer of GoogleSQL, BigQuery's dialect: names, types, reserved words.

A program, run by the Python of the emulator's folder (`tests.integration.bigquery_emulator`):
`zetasql` has Google's C++ code as WebAssembly. JSON in: {"tables": {name: [[column, type], …]},
"statements": [[sql, {parameter: type}], …]}, types being INT64, STRING, TIMESTAMP or ARRAY<…>.
JSON out: null or an error for each statement.

The first run makes machine code of that WebAssembly and keeps it beside it: half a minute.
"""

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def prepare() -> None:
    """Let `zetasql` take the machine code that is kept, and keep it when there is none."""
    client: Any = import_module("zetasql.core.wasm_client")
    wasmtime: Any = import_module("wasmtime")

    class Fast(wasmtime.Config):
        """Compiles in half the time; what runs here is small."""

        def __init__(self) -> None:
            super().__init__()
            self.cranelift_opt_level = "none"

    class Kept:
        """In the place of `wasmtime.Module`."""

        @staticmethod
        def from_file(engine: Any, path: str) -> Any:
            """The module of a .wasm file."""
            code = Path(path).with_suffix(".compiled")
            if code.exists():
                return wasmtime.Module.deserialize_file(engine, str(code))
            module = wasmtime.Module.from_file(engine, path)
            part = code.with_suffix(f".{os.getpid()}")
            part.write_bytes(module.serialize())
            part.replace(code)
            return module

    client.Config, client.Module = Fast, Kept


def check(asked: dict[str, Any]) -> list[str | None]:
    """An error or None for each statement."""
    api, types = import_module("zetasql.api"), import_module("zetasql.types")
    refused = import_module("zetasql.core.exceptions").ZetaSQLError

    def type_of(text: str) -> Any:
        if text.startswith("ARRAY<"):
            return api.TypeFactory.create_array_type(type_of(text[6:-1]))
        return api.TypeFactory.create_simple_type(types.TypeKind[f"TYPE_{text}"])

    language = types.LanguageOptions.maximum_features()
    language.product_mode = types.ProductMode.PRODUCT_EXTERNAL  # no INT32 and the like
    language.reserved_keywords = ["QUALIFY"]
    catalog = api.CatalogBuilder("bigquery").with_builtin_functions(
        types.ZetaSQLBuiltinFunctionOptions(language_options=language)
    )
    for name, columns in asked["tables"].items():
        table = api.TableBuilder(name)
        for column, kind in columns:
            table.add_column(column, type_of(kind))
        catalog.add_table(table.build())
    built = catalog.build()
    found: list[str | None] = []
    for sql, parameters in asked["statements"]:
        options = types.AnalyzerOptions(
            language_options=language,
            query_parameters=[
                types.AnalyzerOptions.QueryParameter(name=name, type=type_of(kind))
                for name, kind in parameters.items()
            ],
        )
        try:
            api.Analyzer(options, built).analyze_statement(sql)
        except refused as error:
            found.append(str(error))
        else:
            found.append(None)
    return found


if __name__ == "__main__":
    prepare()
    json.dump(check(json.load(sys.stdin)), sys.stdout)
