"""ops/new-env.sh fills every secret of the example, once."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]


def test_every_empty_secret_gets_a_value_of_its_own(tmp_path: Path) -> None:
    shutil.copytree(REPO / "ops", tmp_path / "ops")
    made = subprocess.run(["sh", "ops/new-env.sh"], cwd=tmp_path, check=False, capture_output=True)
    assert made.returncode == 0, made.stderr
    path = tmp_path / ".env"
    assert path.stat().st_mode & 0o777 == 0o600
    values = dict(re.findall(r"^([A-Z][A-Z0-9_]*)=(.*)$", path.read_text(), re.MULTILINE))
    secrets = [v for name, v in values.items() if name.endswith(("_PASSWORD", "_LOGIN"))]
    assert len(secrets) >= 6
    assert len(set(secrets)) == len(secrets)
    assert all(re.fullmatch(r"(sigmax:)?[0-9a-f]{48}", secret) for secret in secrets)
    again = subprocess.run(["sh", "ops/new-env.sh"], cwd=tmp_path, check=False, capture_output=True)
    assert again.returncode == 1
    assert b"there is a .env already" in again.stderr
