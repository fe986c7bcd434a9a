"""A loopback server that speaks the real paths and answer shapes of the public data providers.

It is backed by a seeded simulated market or by a folder of recordings, at a moment named in the
URL; an adapter that is given a base URL of this server cannot tell it from the real provider.
"""

from __future__ import annotations

from sigmax_tasks.simulator.server import SimulatorServer, serve_forever
from sigmax_tasks.simulator.world import NotRecorded
from sigmax_tasks.simulator.worlds import PROVIDERS, world_base_url

__all__ = ["PROVIDERS", "NotRecorded", "SimulatorServer", "serve_forever", "world_base_url"]
