"""The docs run: every command and every piece of Python in README.md and docs/*.md, in order, in an empty folder.

A ```` ```console ```` or ```` ```bash ```` block holds commands after ``$ ``, and what they print; a printed line that
ends with ``# exact`` must be printed just so. A ```` ```python ```` block is executed, all blocks of a file in one
namespace. ``<!-- not run: reason -->`` before a block leaves it out; ``<!-- file: name -->`` before a block of any
language writes it to a file, for the blocks that follow.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = sorted([*ROOT.glob("README.md"), *(ROOT / "docs").glob("*.md")])
LIMIT_S = 240

SHELL = {"console", "bash"}
MISSPELT = {"sh", "shell", "shell-session", "zsh", "py", "python3", "pycon"}
NOT_OURS = re.compile(r"(\S+/)?(make|git clone|python3? -m venv|(python3? -m )?pip install)\b")
EXACT = "# exact"

FENCE = re.compile(r"^( *)```+ *(?:\{code-block\} *)?([\w-]*)")
COMMENT = re.compile(r"<!-- *(not run|file): *(.*?) *-->")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a document, the line where its content begins, and what the comment before it says."""

    language: str
    line: int
    text: str
    not_run: str | None = None
    file: str | None = None


def blocks_in(text: str) -> Iterator[Block]:
    """Give all fenced blocks in order."""
    lines = iter(enumerate(text.splitlines(), start=1))
    comment: dict[str, str] = {}
    for number, line in lines:
        fence = FENCE.match(line)
        if fence:
            indent = len(fence[1])
            content: list[str] = []
            for _, inner in lines:
                if inner.strip() == "```":
                    break
                content.append(inner[indent:])
            yield Block(
                language=fence[2],
                line=number + 1,
                text="\n".join(content) + "\n",
                not_run=comment.get("not run"),
                file=comment.get("file"),
            )
        if line.strip():
            found = COMMENT.fullmatch(line.strip())
            comment = {found[1]: found[2]} if found else {}


def commands_in(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Give each command of a shell block, with the lines that follow as what it prints."""
    lines = block.text.replace("\\\n> ", "").replace("\\\n", "").splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in pairwise([*starts, len(lines)]):
        yield lines[start][2:], lines[start + 1 : end]


class Reader:
    """Somebody who types what one document says, in an empty folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder
        self._python = types.ModuleType("document")
        self.skipped: list[str] = []

    def follow(self, text: str) -> None:
        """Do all that the document says.

        Raises:
            AssertionError: something in it does not work, or is not written as it must be.
        """
        sys.modules["document"] = self._python
        try:
            for block in blocks_in(text):
                self._do(block)
        finally:
            del sys.modules["document"]

    def _do(self, block: Block) -> None:
        where = f"{self._name}:{block.line}"
        assert block.language not in MISSPELT, f"{where}: write console, bash or python, not {block.language}."
        if block.not_run is not None:
            assert block.not_run, f"{where}: say why it is not run."
            self.skipped.append(f"{where}: {block.not_run}")
        elif block.file is not None:
            (self._folder / block.file).write_text(block.text, "utf-8")
        elif block.language == "python":
            # The line numbers of a traceback are those of the document.
            exec(compile("\n" * (block.line - 1) + block.text, self._name, "exec"), self._python.__dict__)
        elif block.language in SHELL:
            commands = list(commands_in(block))
            assert commands, f"{where}: no line begins with '$ '."
            for command, printed in commands:
                self._type(where, command, printed)

    def _type(self, where: str, command: str, expected: list[str]) -> None:
        assert not NOT_OURS.match(command), f"{where}: mark the block '<!-- not run: reason -->': {command}"
        if command.startswith("cd "):
            self._folder = self._folder / command.removeprefix("cd ").strip()
            return
        environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(ROOT / "src"),
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self._folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, f"{where}: $ {command}\nended with {done.returncode}:\n{done.stdout}"
        exact = {line.removesuffix(EXACT).rstrip() for line in expected if line.endswith(EXACT)}
        missing = exact - {line.rstrip() for line in done.stdout.splitlines()}
        assert not missing, f"{where}: $ {command}\ndid not print {sorted(missing)}, but:\n{done.stdout}"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_document_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reader = Reader(path.name, tmp_path)
    reader.follow(path.read_text("utf-8"))
    print(f"{len(reader.skipped)} blocks not run", *reader.skipped, sep="\n")


def test_blocks_run_in_order_and_share_one_folder_and_namespace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    reader = Reader("good.md", tmp_path)
    reader.follow(
        """
<!-- file: note.txt -->
```toml
a = 1
```

```console
$ cat note.txt
a = 1  # exact
$ mkdir inner
$ cd inner
$ echo one \\
>   two
not compared
one two  # exact
```

```python
from dataclasses import dataclass
from pathlib import Path

@dataclass
class Note:
    text: "str"

note = Note(Path("note.txt").read_text())
```

<!-- not run: needs a network -->

```bash
$ git clone somewhere
```

1. indented:
   ```python
   assert note.text == "a = 1\\n"
   Path("made").touch()
   ```

```bash
$ test -e ../made
```
"""
    )
    assert reader.skipped == ["good.md:32: needs a network"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```console\n$ false\n```", "bad.md:2: $ false"),
        ("```bash\n$ no-such-command\n```", "ended with 127"),
        ("```console\n$ echo one\ntwo  # exact\n```", "did not print ['two']"),
        ("```bash\nimagiq demo\n```", "no line begins with"),
        ("```python\nassert 1 == 2, 'no'\n```", "no"),
        ("<!-- not run: -->\n```bash\n$ true\n```", "say why it is not run"),
        ("```bash\n$ make demo\n```", "mark the block"),
        ("```bash\n$ python3 -m venv .venv\n```", "mark the block"),
        ("```bash\n$ .venv/bin/pip install imagiq\n```", "mark the block"),
        ("```bash\n$ git clone there\n```", "mark the block"),
        ("```sh\n$ true\n```", "not sh"),
        ("<!-- not run: the other one -->\n```text\n```\n```bash\n$ false\n```", "ended with 1"),
    ],
)
def test_a_document_that_does_not_work_is_seen(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=re.escape(complaint)):
        Reader("bad.md", tmp_path).follow(text)


def test_an_error_in_python_names_the_line_of_the_document(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        Reader("bad.md", tmp_path).follow("# Title\n\n```python\nx = 1\nx / 0\n```\n")
    last = raised.traceback[-1]
    assert (Path(last.path).name, last.lineno + 1) == ("bad.md", 5)
