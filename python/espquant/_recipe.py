"""How a network is quantized, as data."""

from __future__ import annotations

import json
import os
from typing import Any, List, Mapping, Union

from . import _core


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return json.dumps([str(v) for v in value])
    return repr(value) if isinstance(value, float) else str(value)


class Recipe:
    """A strategy: "int8", "mixed", "balanced", "finetune", "w8a16", "int16", or a TOML file (docs/recipes.md).

    Args:
        name: one of Recipe.names(), or the path of a TOML file.
        changes: keys that are set otherwise, as in Recipe("mixed", {"mixed.max_16bit": 3}).

    Raises Error, with the nearest name, for a recipe, key or value that does not exist.
    """

    def __init__(self, name: Union[str, "os.PathLike[str]"] = "int8", changes: Mapping[str, Any] = {}) -> None:
        self._recipe = _core.Recipe(os.fspath(name))
        self.update(changes)

    @classmethod
    def from_toml(cls, text: str) -> "Recipe":
        """The recipe that a TOML text describes."""
        return cls._of(_core.Recipe.from_toml(text))

    @classmethod
    def _of(cls, recipe: _core.Recipe) -> "Recipe":
        made = cls.__new__(cls)
        made._recipe = recipe
        return made

    @staticmethod
    def names() -> List[str]:
        """Those that come with espquant."""
        return _core.Recipe.names()

    @property
    def name(self) -> str:
        return self._recipe.name

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def update(self, changes: Mapping[str, Any]) -> None:
        """Sets all of these keys, and checks them when all are set: some are possible only together."""
        self._recipe.set([f"{key}={_text(value)}" for key, value in changes.items()])

    def to_dict(self) -> dict:
        """Every key and its value, in sections."""
        return json.loads(self._recipe.to_json())

    def to_toml(self) -> str:
        """A file for --recipe."""
        return self._recipe.to_toml()

    def copy(self) -> "Recipe":
        return self._of(self._recipe.copy())

    def __repr__(self) -> str:
        return f"<Recipe {self.name}>"

    def _repr_html_(self) -> str:
        from ._html import escaped

        return f"<pre>{escaped(self.to_toml())}</pre>"


def as_recipe(recipe: Any) -> Recipe:
    return recipe if isinstance(recipe, Recipe) else Recipe(recipe)
