"""The arguments of a pipeline class of diffusers, read from its source: importing diffusers takes seconds."""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path


@functools.cache
def call_defaults(class_name: str) -> Mapping[str, object]:
    """Return the arguments of ``__call__`` of a pipeline class with their defaults.

    None stands for a default that is no plain value, and for no default. Empty for a class that diffusers does not
    have, or one that takes ``__call__`` from another.
    """
    if not class_name.isidentifier():
        return {}
    words = (f"class {class_name}(".encode(), f"class {class_name}:".encode())
    for path in _sources():
        text = path.read_bytes()
        if any(word in text for word in words):
            return _call_defaults(ast.parse(text), class_name)
    return {}


@functools.cache
def _sources() -> tuple[Path, ...]:
    spec = importlib.util.find_spec("diffusers")
    roots = list(spec.submodule_search_locations or ()) if spec else []
    return tuple(path for root in roots for path in sorted((Path(root) / "pipelines").rglob("pipeline_*.py")))


def _call_defaults(module: ast.Module, class_name: str) -> Mapping[str, object]:
    for node in module.body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            for statement in node.body:
                if isinstance(statement, ast.FunctionDef) and statement.name == "__call__":
                    return dict(_defaults(statement.args))
    return {}


def _defaults(arguments: ast.arguments) -> Iterator[tuple[str, object]]:
    positional = [*arguments.posonlyargs, *arguments.args]
    values: list[ast.expr | None] = [*[None] * (len(positional) - len(arguments.defaults)), *arguments.defaults]
    pairs = [*zip(positional, values, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    for argument, value in pairs[1:]:  # the first is self
        yield argument.arg, value.value if isinstance(value, ast.Constant) else None
