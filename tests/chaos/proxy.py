"""A TCP proxy in front of Redis that can be slow and can cut its connections."""

from __future__ import annotations

import asyncio
import contextlib
import threading

from tests.processes import free_port

CHUNK_BYTES = 65_536


class Proxy:
    """Forwards a loopback port to another one, in a thread of its own."""

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        self.latency_seconds = 0.0
        self._target = target_port
        self._writers: set[asyncio.StreamWriter] = set()
        self._silent: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def cut(self) -> None:
        """Abort every connection, answers under way included."""
        self._loop.call_soon_threadsafe(self._abort)

    def silence(self) -> None:
        """Carry nothing over the connections there are, and tell neither end; new ones work."""
        self._loop.call_soon_threadsafe(lambda: self._silent.update(self._writers))

    def _abort(self) -> None:
        for writer in tuple(self._writers):
            writer.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", self.port)
        )
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._abort()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        """Connections that are aborted are over at once; nothing is left to wait for longer."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, far_writer}
        self._writers |= pair
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            self._writers -= pair - self._silent
            for each in pair - self._silent:
                each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while data := await reader.read(CHUNK_BYTES):
                if writer in self._silent:
                    continue
                if self.latency_seconds:
                    await asyncio.sleep(self.latency_seconds)
                writer.write(data)
                await writer.drain()
        if writer not in self._silent:
            writer.transport.abort()
