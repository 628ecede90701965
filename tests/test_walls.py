"""The walls of the house: who may import, call and be called what (docs: CONTRIBUTING.md). Each scan proves that it can fail."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "imagiq"
MODULES = sorted(PACKAGE.rglob("*.py"))

EDGES = {
    "imagiq.learning.serving:_answer": "in a worker runs foreign code; whatever it raises is the worker's answer",
    "imagiq.site.work:_guarded": "a learner is foreign code: whatever it raises is reported and must not stop the site",
    "imagiq.site.supervisor:_guard": "the edge of a thread: what nobody expects ends the whole process, never half a site",
    "imagiq.site.line:run": "the edge of a thread that was stopped in the middle of anything; else it is raised",
    "imagiq.cli:main": "the edge to the person: no traceback reaches them, whatever happened",
}
"""Functions that may catch everything, as ``imagiq.room:function``, and why."""

PROGRAMS = {
    "imagiq.learning.watched": "stands alone and imports nothing of imagiq: it is started by its path, as a process",
}
"""Modules that are no rooms' but programs: they have arguments and an exit code of their own."""

LINE_LIMIT = 500
VAGUE_NAMES = {"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}


@dataclass(frozen=True, kw_only=True)
class Wall:
    """What is banned, and where.

    Attributes:
        name: The wall in words.
        banned: Dotted names; whatever lies inside them is banned too. A builtin is called by its bare name.
        only_in: The rooms that may, of all rooms.
        nowhere_in: The rooms that may not, of all rooms; not beside ``only_in``.
        binds_programs: Whether it binds modules that are programs too.
        breaches: Lines of code that must be seen.
        harmless: Lines of code that must pass.
    """

    name: str
    banned: frozenset[str]
    only_in: frozenset[str] = frozenset()
    nowhere_in: frozenset[str] = frozenset()
    binds_programs: bool = True
    breaches: tuple[str, ...]
    harmless: tuple[str, ...] = field(default=())

    def stands_before(self, path: Path) -> bool:
        if dotted(path) in PROGRAMS and not self.binds_programs:
            return False
        return room_of(path) in self.nowhere_in if self.nowhere_in else room_of(path) not in self.only_in


WALLS = (
    Wall(
        name="only learning imports a deep learning framework",
        banned=frozenset({"torch", "monai", "torchvision", "opacus"}),
        only_in=frozenset({"learning"}),
        breaches=(
            "import torch",
            "import torch.nn.functional as f",
            "from monai import networks",
            "def f():\n    import torch",
            "import importlib\nimportlib.import_module('monai.networks')",
        ),
        harmless=("import torchlight", "from imagiq.torch import x"),
    ),
    Wall(
        name="only imaging reads medical images",
        banned=frozenset({"pydicom", "pynetdicom", "highdicom", "nibabel", "SimpleITK"}),
        only_in=frozenset({"imaging"}),
        breaches=("import pydicom", "import nibabel as nib", "from SimpleITK import ReadImage"),
    ),
    Wall(
        name="strategies, history and federation do no I/O, tell no time, draw no randomness",
        banned=frozenset(
            {
                *("asyncio", "builtins", "datetime", "glob", "http", "io", "logging", "multiprocessing", "open", "os"),
                *("input", "numpy.random", "pathlib", "print", "random", "secrets", "shutil", "socket", "sqlite3"),
                *("subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid", "imagiq.clock"),
            }
        ),
        nowhere_in=frozenset({"strategies", "history", "federation"}),
        breaches=(
            "import time",
            "import random",
            "from secrets import token_bytes",
            "import os.path",
            "import io",
            "from pathlib import Path",
            "import socket",
            "import sqlite3",
            "from numpy import random",
            "import numpy as np\nnp.random.default_rng(0)",
            "from numpy.random import default_rng",
            "open('x')",
            "from imagiq.clock import Clock",
            "from datetime import datetime",
        ),
        harmless=(
            "import numpy as np\nnp.sum",
            "import math",
            "def f(view):\n    view.open('x')",
            "for input in parents: input.role",
        ),
    ),
    Wall(
        name="only cli reads the environment, prints and exits",
        banned=frozenset(
            {
                *("SystemExit", "click.echo", "exit", "input", "os._exit", "os.environ", "os.environb", "os.getenv"),
                *("print", "quit", "rich.print", "sys.argv", "sys.exit", "sys.stderr", "sys.stdin", "sys.stdout"),
            }
        ),
        only_in=frozenset({"cli", "__main__"}),
        binds_programs=False,
        breaches=(
            "import os\nos.environ['HOME']",
            "import os as o\no.getenv('HOME')",
            "from os import environ",
            "print('x')",
            "import sys\nsys.exit(1)",
            "raise SystemExit(1)",
            "import sys\nsys.stderr.write('x')",
        ),
        harmless=("import os\nos.fsync(1)", "def f(table):\n    table.print()"),
    ),
    Wall(
        name="only clock tells time",
        banned=frozenset({"time", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today"})
        | {"datetime.date.today"},
        only_in=frozenset({"clock"}),
        breaches=(
            "import time",
            "from time import monotonic",
            "from datetime import datetime\ndatetime.now()",
            "import datetime as d\nd.datetime.now(d.UTC)",
            "from datetime import date\ntoday = date.today",
        ),
        harmless=("from datetime import datetime\ndatetime.fromisoformat('x')", "def f(clock):\n    clock.time()"),
    ),
    Wall(
        name="foreign bytes are never code",
        banned=frozenset(
            {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "eval", "exec", "__import__"}
        )
        | {"torch.load", "yaml.load", "joblib.load", "importlib.util.spec_from_file_location"},
        breaches=(
            "import pickle",
            "from pickle import loads",
            "eval('1')",
            "exec('1')",
            "import marshal",
            "import shelve",
            "import torch\ntorch.load('x')",
            "import yaml as y\ny.load('x')",
        ),
        harmless=("import re\nre.compile('x')", "def f(model):\n    model.eval()"),
    ),
)


def bindings(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Give each name that this node alone binds, with what the name stands for."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            first = alias.name.partition(".")[0]
            yield alias.asname or first, alias.name if alias.asname else first
    elif isinstance(node, ast.ImportFrom):
        yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)
    elif isinstance(node, ast.arg):
        yield node.arg, f"a local {node.arg}"
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id, f"a local {node.id}"


def names_used(code: ast.AST) -> Iterator[str]:
    """Give the full dotted name of all that is imported, and of all that is reached through an imported or bare name."""
    nodes = list(ast.walk(code))
    meaning = dict(binding for node in nodes for binding in bindings(node))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Name | ast.Attribute):
            first, dot, rest = ast.unparse(node).partition(".")
            yield meaning.get(first, first) + dot + rest
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (str(name.value) for name in node.args[:1] if isinstance(name, ast.Constant))


@cache
def all_names_used(code: str) -> frozenset[str]:
    return frozenset(names_used(ast.parse(code)))


def breaches(wall: Wall, code: str) -> set[str]:
    """Return the banned names that the code uses."""
    return {
        name
        for name in all_names_used(code)
        if not wall.banned.isdisjoint(accumulate(name.split("."), lambda outer, inner: f"{outer}.{inner}"))
    }


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("wall", WALLS, ids=lambda wall: wall.name)
def test_wall_stands(wall: Wall) -> None:
    found = {
        dotted(path): names
        for path in MODULES
        if wall.stands_before(path) and (names := breaches(wall, path.read_text("utf-8")))
    }
    assert found == {}, wall.name


@pytest.mark.parametrize("wall", WALLS, ids=lambda wall: wall.name)
def test_wall_can_fail(wall: Wall) -> None:
    assert [code for code in wall.breaches if not breaches(wall, code)] == []
    assert [code for code in wall.harmless if breaches(wall, code)] == []


def catch_alls(code: str) -> Iterator[str]:
    """Give the function around each place that swallows every exception; one that raises it on is no such place."""
    everything = {"Exception", "BaseException"}

    def walk(node: ast.AST, function: str) -> Iterator[str]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        caught: list[ast.expr] = []
        if isinstance(node, ast.ExceptHandler):
            last = node.body[-1]
            raised_on = isinstance(last, ast.Raise) and last.exc is None
            caught = [node.type or ast.Name("BaseException")] if not raised_on else []
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            caught = node.args
        names = {
            ast.unparse(name) for kind in caught for name in (kind.elts if isinstance(kind, ast.Tuple) else [kind])
        }
        if not names.isdisjoint(everything):
            yield function
        for child in ast.iter_child_nodes(node):
            yield from walk(child, function)

    return walk(ast.parse(code), "")


def test_nobody_catches_everything_but_the_named_edges() -> None:
    found = {f"{dotted(path)}:{function}" for path in MODULES for function in catch_alls(path.read_text("utf-8"))}
    assert found == set(EDGES), "a new edge is named in EDGES, with a reason; one that is gone is taken out"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("try: pass\nexcept: pass", [""]),
        ("def f():\n  try: pass\n  except Exception: pass", ["f"]),
        ("try: pass\nexcept (ValueError, BaseException) as e: print(e)", [""]),
        ("from contextlib import suppress\nwith suppress(Exception): pass", [""]),
        ("try: pass\nexcept BaseException:\n  close()\n  raise", []),
        ("try: pass\nexcept (ValueError, OSError): pass", []),
    ],
)
def test_catching_everything_is_seen(code: str, found: list[str]) -> None:
    assert list(catch_alls(code)) == found


def too_long(paths: list[Path]) -> list[str]:
    return [path.name for path in paths if len(path.read_text("utf-8").splitlines()) > LINE_LIMIT]


def vaguely_named(paths: list[Path]) -> list[str]:
    return [path.name for path in paths if not VAGUE_NAMES.isdisjoint(path.with_suffix("").parts)]


def test_modules_are_short_and_named_by_what_they_hold() -> None:
    assert too_long(MODULES) == []
    assert vaguely_named([path.relative_to(PACKAGE) for path in MODULES]) == []


def test_long_and_vaguely_named_modules_are_seen(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("\n" * (LINE_LIMIT + 1))
    (tmp_path / "fits.py").write_text("\n" * LINE_LIMIT)
    assert too_long(sorted(tmp_path.iterdir())) == ["long.py"]
    names = ["site/utils.py", "common/x.py", "store/manager.py", "store/folder.py"]
    assert vaguely_named(list(map(Path, names))) == ["utils.py", "x.py", "manager.py"]


def run(*command: str, path: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )


def loaded_by(imports: str, watched: set[str], path: str = str(PACKAGE.parent)) -> set[str]:
    """Return which of the watched modules a fresh interpreter has loaded after these imports."""
    code = f"import sys\n{imports}\nprint(*sorted({watched!r}.intersection(sys.modules)))"
    done = run(sys.executable, "-c", code, path=path)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


HEAVY = {"asyncio", "click", "cryptography", "msgspec", "numpy", "rfc8785", "rich", "safetensors", "sqlite3", "torch"}


def test_import_imagiq_loads_nothing_heavy() -> None:
    assert loaded_by("import imagiq", HEAVY) == set()


def test_something_heavy_would_be_seen() -> None:
    assert "cryptography" in loaded_by("import imagiq.keys", HEAVY)


def test_no_room_but_learning_loads_torch(tmp_path: Path) -> None:
    """Imports every module outside learning's inside, with a torch and a monai that could be imported."""
    for name in ("torch", "monai"):
        (tmp_path / f"{name}.py").touch()
    path = os.pathsep.join([str(PACKAGE.parent), str(tmp_path)])
    names = [dotted(p) for p in MODULES if room_of(p) not in {"learning", "__main__"}]
    everything = "\n".join(f"import {name}" for name in [*names, "imagiq.learning"])
    assert loaded_by(everything, {"torch", "monai"}, path) == set()
    assert loaded_by(everything + "\nimport torch", {"torch", "monai"}, path) == {"torch"}


def lint_imports(source: Path, settings: Path) -> str:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    return run(sys.executable, "-c", code, path=str(source), cwd=settings).stdout


def test_rooms_import_only_rooms_below_them() -> None:
    printed = lint_imports(PACKAGE.parent, ROOT)
    assert "0 broken" in printed, printed


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Builds a house of empty rooms, whose layers can be broken."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room in ["bench", "clock", "errors", "history", "keys", "learning", "merging", "objects", "scoring", "site"]:
        (tmp_path / "imagiq" / room).mkdir(parents=True)
        (tmp_path / "imagiq" / room / "__init__.py").touch()
    (tmp_path / "imagiq/learning/logistic.py").touch()
    (tmp_path / "imagiq/__init__.py").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("path", "code", "verdict"),
    [
        ("site/sync.py", "import imagiq.bench, imagiq.learning", "0 broken"),
        ("unlisted.py", "", "1 broken"),
        ("unlisted/__init__.py", "", "1 broken"),
        ("errors/__init__.py", "import imagiq.keys", "1 broken"),
        ("clock/__init__.py", "import imagiq.errors", "1 broken"),
        ("scoring/__init__.py", "from imagiq import merging", "1 broken"),
        ("site/__init__.py", "import imagiq.learning.logistic", "1 broken"),
        ("site/__init__.py", "def start():\n    from imagiq.learning import logistic", "1 broken"),
    ],
)
def test_an_unlisted_room_or_a_wrong_import_is_seen(house: Path, path: str, code: str, verdict: str) -> None:
    (house / "imagiq" / path).parent.mkdir(exist_ok=True)
    (house / "imagiq" / path).write_text(code)
    assert verdict in lint_imports(house, house)
