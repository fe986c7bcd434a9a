"""Checks ops/kubernetes against the schemas of Kubernetes: ``make manifests``.

kubernetes-validate brings the schemas with it (108 MB), so it has an environment of its own and
nothing is downloaded when it runs. Types of KEDA are not among them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import kubernetes_validate  # type: ignore[import-not-found]
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "ops" / "kubernetes"
VERSIONS = ("1.29", "1.31")


def main() -> int:
    for path in sorted(FOLDER.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if ".sh/" in document["apiVersion"]:
                continue
            for version in VERSIONS:
                kubernetes_validate.validate(document, version, strict=True)
            sys.stdout.write(f"{path.name}: {document['kind']} is valid\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
