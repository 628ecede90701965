"""Homes of sites in folders, driven through the real command line in this process or in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from imagiq.cli import main

HEART = {"alba": "cleveland", "bert": "hungarian", "caro": "switzerland", "dora": "va"}


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


@dataclass
class Homes:
    """Homes side by side in a folder, with a share between them.

    Attributes:
        folder: Where they are.
        apart: Whether each command runs in a process of its own.
    """

    folder: Path
    apart: bool = False

    def __post_init__(self) -> None:
        self.share.mkdir(exist_ok=True)

    @property
    def share(self) -> Path:
        return self.folder / "share"

    def __getitem__(self, name: str) -> Path:
        return self.folder / name

    def call(self, *arguments: str) -> Said:
        """Run imagiq."""
        if self.apart:
            done = subprocess.run(
                [sys.executable, "-m", "imagiq", *arguments],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            said = Said(done.returncode, done.stdout, done.stderr)
        else:
            out, err = StringIO(), StringIO()
            with redirect_stdout(out), redirect_stderr(err):
                code = main(arguments)
            said = Said(code, out.getvalue(), err.getvalue())
        assert "Traceback" not in said.out + said.err, said
        assert said.code != 3, said
        return said

    def at(self, name: str, *arguments: str, code: int = 0) -> Said:
        """Run imagiq in a home, and expect an exit code."""
        said = self.call("-C", str(self[name]), *arguments)
        assert said.code == code, said
        return said

    def error(self, name: str, *arguments: str) -> str:
        """Run imagiq in a home, expect that it fails, and return the error's code."""
        said = self.call("-C", str(self[name]), *arguments)
        assert said.code in {1, 2}, said
        return said.err.partition("error[")[2].partition("]")[0]

    def init(self, *names: str) -> None:
        """Make homes, each with the cases of a hospital."""
        for name in names:
            said = self.call("init", str(self[name]), "--name", name, "--title", f"{name.title()} Hospital", "--json")
            assert said.code == 0, said
            text = (self[name] / "site.toml").read_text("utf-8")
            data = f'\n[data]\nkind = "heart"\nsite = "{HEART.get(name, "va")}"\n'
            (self[name] / "site.toml").write_text(text + data, "utf-8")

    def card(self, name: str) -> str:
        from imagiq.site.card import card_of
        from imagiq.site.home import Home

        home = Home(self[name])
        return card_of(home.settings.name, home.key())

    def found(self, name: str, charter: str = 'title = "Heart"\n') -> str:
        """Found a federation and put it on the share; return its name at the site."""
        file = self.folder / f"charter-{name}.toml"
        file.write_text(charter, "utf-8")
        seat = str(self.at(name, "found", str(file), "--json").json["name"])
        self.at(name, "remote", "add", "share", "folder", str(self.share))
        self.at(name, "sync")
        return seat

    def invite(self, name: str, *options: str) -> str:
        return str(self.at(name, "invite", *options, "--json").json["invitation"])

    def sync(self, *names: str, rounds: int = 1) -> None:
        for _ in range(rounds):
            for name in names:
                self.at(name, "sync")

    def join(self, newcomer: str, sponsor: str, *approving: str) -> None:
        """Let a site join: it asks, a member carries that, voters approve, all hear of it."""
        self.at(newcomer, "join", self.invite(sponsor), "--yes")
        voters = approving or (sponsor,)
        self.sync(sponsor, *voters)
        for voter in voters:
            self.at(voter, "approve", newcomer)
            self.sync(*dict.fromkeys((voter, sponsor, *voters)))
        self.sync(newcomer, sponsor, newcomer)

    def members(self, name: str) -> list[str]:
        return [member["name"] for member in self.at(name, "members", "--json").json["members"]]

    def version(self, name: str) -> int:
        return int(self.at(name, "members", "--json").json["version"])

    def files(self) -> Iterator[Path]:
        """Yield all files on the share."""
        return (path for path in self.share.rglob("*") if path.is_file())
