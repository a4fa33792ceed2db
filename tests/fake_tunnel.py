"""A tunnel that leads no further than this machine: `python tests/fake_tunnel.py NAME PORT [FILE]`.

Speaks like Gradio's program: prints the success line with `http://NAME:FREE_PORT`, then hands every connection on to
127.0.0.1:PORT, byte by byte. Its pid goes to FILE, for tests that end it or look whether it is gone. Reads no input
and ends only when it is ended, as the real one does. NAME `refused` prints what the real one says then, and ends;
`mute` says nothing.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path


async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def main(name: str, port: int) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(hand_on(reader, there[1]), hand_on(there[0], writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    if name == "mute":
        await asyncio.sleep(3600)
    free = server.sockets[0].getsockname()[1]
    print(f"2026/01/01 00:00:00 [I] [control.go:1] [abc] start proxy success: http://{name}:{free}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) > 3:
        Path(sys.argv[3]).write_text(str(os.getpid()), encoding="ascii")
    if sys.argv[1] == "refused":
        print("2026/01/01 00:00:00 [W] [service.go:1] login to server failed: dial tcp: connection refused", flush=True)
        sys.exit(1)
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
