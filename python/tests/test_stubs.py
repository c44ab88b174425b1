"""_core.pyi says what the module has: every name, and how many arguments each takes."""

import ast
import re
from pathlib import Path

import espquant
from espquant import _core

STUBS = Path(espquant.__file__).with_name("_core.pyi")


def told():
    """Of functions "name" and "Class.name": the number of arguments, self included; None of properties."""
    found = {}

    def take(node, prefix):
        if isinstance(node, ast.ClassDef):
            found[node.name] = None
            for member in node.body:
                take(member, node.name + ".")
        elif isinstance(node, ast.FunctionDef):
            kinds = [d.id for d in node.decorator_list]
            found[prefix + node.name] = None if "property" in kinds else len(node.args.args)

    for node in ast.parse(STUBS.read_text()).body:
        take(node, "")
    return found


def arguments(function):
    """As pybind11 writes the signature into the first line of the docstring."""
    inside = re.match(r"\w+\((.*)\) ->", function.__doc__.splitlines()[0]).group(1)
    depth, count = 0, 1 if inside else 0
    for c in inside:
        depth += (c in "[(") - (c in "])")
        count += c == "," and depth == 0
    return count


def present():
    found = {}
    for name, value in vars(_core).items():
        if name.startswith("_"):
            continue
        if not isinstance(value, type):
            found[name] = arguments(value)
            continue
        found[name] = None
        for member, its in vars(value).items():
            if isinstance(its, type(object.__init__)):  # of a class that only other calls make: it refuses
                continue
            if isinstance(its, property):
                found[f"{name}.{member}"] = None
            elif callable(getattr(value, member)) and (member == "__init__" or not member.startswith("_")):
                found[f"{name}.{member}"] = arguments(getattr(value, member))
    return found


def test_stubs_have_every_name_and_its_arguments():
    assert told() == present()
