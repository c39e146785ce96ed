"""Fills what the documentation says of settings, options, layouts, class tables and metrics from the code itself.

python docs/generate.py            # after a change of a setting, an option, a table
python docs/generate.py --check    # exit 1 where a page is not what the code says
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import json
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import typer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "examples" / "benchmarks"))

from tables import run, table  # noqa: E402

from citygan.cli import app  # noqa: E402
from citygan.config import Settings  # noqa: E402
from citygan.data.labels import TABLES  # noqa: E402
from citygan.data.layouts import LAYOUTS  # noqa: E402
from citygan.fetching import catalogue  # noqa: E402
from citygan.losses import ADVERSARIAL  # noqa: E402
from citygan.metrics import DEFAULT, METRICS  # noqa: E402
from citygan.models import DISCRIMINATORS, GENERATORS, SEGMENTERS  # noqa: E402
from citygan.presets import PRESETS  # noqa: E402
from citygan.study.rows import STUDIES  # noqa: E402
from citygan.study.tables import section  # noqa: E402
from citygan.weights import FORMATS  # noqa: E402

STUDIED = ROOT / "examples" / "benchmarks" / "results" / "studies"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))


def field_texts(kind: type) -> dict[str, str]:
    """The docstring line under each field of a dataclass, which Python itself throws away."""
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    texts: dict[str, str] = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            texts[statement.target.id] = " ".join(str(following.value.value).split())
    return texts


def settings(kind: type = Settings, before: str = "") -> Iterator[tuple[str, str, str]]:
    """Key, default and meaning of every setting."""
    hints = typing.get_type_hints(kind)
    texts = field_texts(kind)
    for item in dataclasses.fields(kind):
        inner = hints[item.name]
        if isinstance(inner, type) and dataclasses.is_dataclass(inner):
            yield from settings(inner, f"{before}{item.name}.")
        else:
            yield f"{before}{item.name}", _default(item.default), _choices(inner) + texts[item.name]


def _default(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def _choices(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(kind)) + ". "
    return ""


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """Nested settings as KEY=VALUE."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}={_default(value)}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def options(command: Callable[..., Any]) -> str:
    """The options of a command, as --help tells them; read off its signature."""
    hints = typing.get_type_hints(command, include_extras=True)
    rows = []
    for name, parameter in inspect.signature(command).parameters.items():
        kind, info = typing.get_args(hints[name])
        text = (info.help or "").replace("  (default", " (default")
        if isinstance(info, typer.models.OptionInfo):
            # Annotated[..., Option("--name")] leaves the first name where a default would stand
            first = (info.default,) if isinstance(info.default, str) else ()
            names = [n for given in (*first, *(info.param_decls or ())) for n in given.split("/")]
            names = names or [f"--{name.replace('_', '-')}"]
            value = f" {info.metavar or _value(kind)}" if not _is_flag(kind) else ""
            if parameter.default is not None and not _is_flag(kind):
                text += f" (default: {parameter.default})"
            rows.append((", ".join(f"`{n}`" for n in names) + _cell(value), _cell(text)))
        else:
            rows.append((f"{info.metavar or name.upper()}", _cell(text)))
    return table(("option", ""), rows, left=2)


def _is_flag(kind: Any) -> bool:
    return kind is bool or bool in typing.get_args(kind)


def _value(kind: Any) -> str:
    kinds = (kind, *typing.get_args(kind))
    return "PATH" if Path in kinds else "N" if int in kinds or float in kinds else "NAME"


def blocks() -> dict[str, str]:
    """Every block by its name."""
    rows = ((f"`{key}`", f"`{default}`", _cell(text)) for key, default, text in settings())
    filled = {
        "settings": table(("setting", "default", ""), rows, left=3),
        "layouts": table(
            ("layout", "looks like"), ((f"`{name}`", row.looks_like) for name, row in LAYOUTS.items()), left=2
        ),
        "class-tables": table(
            ("table", "ids", "classes trained on"),
            ((f"`{name}`", f"{min(t.ids)}-{max(t.ids)}", t.num_train) for name, t in TABLES.items()),
            left=2,
        ),
        "metrics": table(
            ("metric", "unit", "better", "range", "as in", "one figure for", "by default"),
            (
                (f"`{name}`", m.unit or "-", m.better, m.range, m.source,
                 f"each {m.scope}" if m.scope == "picture" else "the whole set", "yes" if name in DEFAULT else "")
                for name, m in METRICS.items()
            ),
            left=7,
        ),
        "presets": table(
            ("model", "task", "what it is", "from"),
            ((f"`{name}`", p.task, p.summary, p.source) for name, p in PRESETS.items()),
            left=4,
        ),
        "quick": table(
            ("model", "what its quick form sets"),
            ((f"`{name}`", ", ".join(f"`{text}`" for text in _flat(p.quick))) for name, p in PRESETS.items()),
            left=2,
        ),
        "studies": table(
            ("study", "from", "rows"),
            (
                (f"`{name}`", s.where, ", ".join(row.title for row in s.rows))
                for name, s in STUDIES.items()
            ),
            left=3,
        ),
        "weight-formats": table(
            ("format", "network there", "network here"),
            ((f"`{row.name}`", row.what, f"`{row.network}`, {row.role}") for row in FORMATS),
            left=3,
        ),
        "published-weights": table(
            ("name", "file", "what"),
            ((f"`{name}`", f"`{row.file}`", row.what) for name, row in catalogue().items()),
            left=3,
        ),
        "networks": table(
            ("setting", "names"),
            (
                ("`generator.name`", ", ".join(f"`{name}`" for name in GENERATORS)),
                ("`discriminator.name`", ", ".join(f"`{name}`" for name in DISCRIMINATORS)),
                ("`segmenter.name`", ", ".join(f"`{name}`" for name in SEGMENTERS)),
                ("`losses.adversarial`", ", ".join(f"`{name}`" for name in ADVERSARIAL)),
            ),
            left=2,
        ),
    }  # fmt: skip
    commands = {row.callback.__name__: row.callback for row in app.registered_commands if row.callback is not None}
    for group in app.registered_groups:
        rows_of = group.typer_instance.registered_commands if group.typer_instance is not None else []
        commands |= {f"weights-{row.name}": row.callback for row in rows_of if row.callback is not None}
    filled |= studied()
    return filled | {f"options-{name}": options(command) for name, command in commands.items()}


def studied() -> dict[str, str]:
    """The tables of the committed studies: `study-FOLDER-NAME` of `studies/FOLDER/NAME.json`."""
    return {
        f"study-{file.parent.name}-{file.stem}": section(json.loads(file.read_text("utf-8")))
        for file in sorted(STUDIED.glob("*/*.json"))
    }


def main() -> None:
    """Writes or checks the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is out of date")
    arguments = parser.parse_args()
    run(PAGES, blocks(), arguments.check, "docs/generate.py")


if __name__ == "__main__":
    main()
