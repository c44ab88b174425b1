"""Tables for notebooks."""

from __future__ import annotations

from html import escape as escaped
from typing import Any, Mapping, Sequence


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return escaped("x".join(str(v) for v in value))
    return escaped("" if value is None else str(value))


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """`columns`: keys of the rows, and their titles."""
    head = "".join(f"<th>{escaped(title)}</th>" for title in columns.values())
    body = "".join("<tr>" + "".join(f"<td>{_cell(row.get(key))}</td>" for key in columns) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def facts(pairs: Mapping[str, Any]) -> str:
    rows = "".join(f"<tr><th>{escaped(name)}</th><td>{_cell(value)}</td></tr>" for name, value in pairs.items()
                   if value is not None)
    return f"<table><tbody>{rows}</tbody></table>"


def percent(share: Any, digits: int = 3) -> Any:
    return None if share is None else f"{100 * share:.{digits}f} %"
