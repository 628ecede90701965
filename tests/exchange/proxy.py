"""A small CONNECT proxy in a process of its own: ``python proxy.py LOG USER:PASSWORD PORT`` prints its port."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def proxy(password: str = "", to: int = 0) -> Iterator[tuple[str, Path]]:
    """Start a proxy; give its URL and its log.

    Args:
        password: What it asks for, as ``user:password``.
        to: Where it really connects, whatever it is asked for.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        log.touch()
        command = [sys.executable, __file__, str(log), password, str(to)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}", log
        finally:
            process.kill()
            process.communicate()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _serve(log: Path, password: str, to: int) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first = head.splitlines()[0]
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{first}\n")
        wanted = "Basic " + base64.b64encode(password.encode()).decode()
        if password and wanted not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        host, _, port = first.split()[1].rpartition(":")
        there_reader, there_writer = await asyncio.open_connection(host, to or int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
