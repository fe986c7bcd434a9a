"""``python -m sigmax_tasks.cli`` is ``sigmax``, also where that script is not on the PATH."""

from __future__ import annotations

from sigmax_tasks.cli.main import main

main()
