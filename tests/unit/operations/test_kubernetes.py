"""The Kubernetes manifests start what docker-compose.yml starts, which its own test runs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sigmax_planner.canvas import PRIORITY_STEPS, RESEARCH_QUEUE

REPO = Path(__file__).resolve().parents[3]
FOLDER = REPO / "ops" / "kubernetes"
ROLES = {"worker": "worker", "beat": "beat", "flower": "flower", "metrics": "viewer"}
"""Component -> user of Redis."""


def documents(*names: str) -> list[dict[str, Any]]:
    paths = [FOLDER / name for name in names] or sorted(FOLDER.glob("*.yaml"))
    return [document for path in paths for document in yaml.safe_load_all(path.read_text())]


def pods() -> dict[str, dict[str, Any]]:
    """Component -> pod specification."""
    return {
        document["metadata"]["labels"]["app.kubernetes.io/component"]: document["spec"]["template"][
            "spec"
        ]
        for document in documents()
        if document["kind"] in {"Deployment", "StatefulSet"}
    }


def container(component: str) -> dict[str, Any]:
    (only,) = pods()[component]["containers"]
    found: dict[str, Any] = only
    return found


def compose() -> dict[str, Any]:
    text = (REPO / "docker-compose.yml").read_text()
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    found: dict[str, Any] = yaml.safe_load(text)["services"]
    return found


@pytest.mark.parametrize("component", [*ROLES, "redis"])
def test_commands_are_those_of_compose(component: str) -> None:
    assert container(component)["command"] == compose()[component]["command"]
    image = compose()[component]["image"]
    assert container(component)["image"] == image


def test_every_pod_has_the_least_it_needs() -> None:
    assert set(pods()) == {*ROLES, "redis"}
    for component, pod in pods().items():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        own = container(component)
        assert own["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in own["resources"]["limits"]
        mounted = {mount["name"] for mount in own["volumeMounts"]}
        claimed = {"data"} if component == "redis" else set()
        assert mounted == {volume["name"] for volume in pod["volumes"]} | claimed
    user = re.search(r"--uid (\d+)", (REPO / "ops/docker/Dockerfile").read_text())
    assert user is not None
    assert {pods()[c]["securityContext"]["runAsUser"] for c in ROLES} == {int(user[1])}


def test_each_service_uses_its_own_user_of_redis() -> None:
    users = set(
        re.findall(r"^user (\w+) on", (REPO / "ops/redis/users.acl").read_text(), re.MULTILINE)
    )
    for component, user in ROLES.items():
        environ = {entry["name"]: entry for entry in container(component)["env"]}
        variable = f"REDIS_{user.upper()}_PASSWORD"
        url = f"redis://{user}:$({variable})@sigmax-redis:6379/0"
        assert user in users
        assert environ["SIGMAX_BROKER_URL"]["value"] == url
        names = list(environ)
        assert names.index(variable) < names.index("SIGMAX_BROKER_URL"), "it must stand before"


def test_every_secret_that_is_needed_is_made_by_the_script() -> None:
    example = documents("secret.example.yaml")[0]["stringData"]
    named = set(re.findall(r"^(\w+)=", (REPO / "ops/.env.example").read_text(), re.MULTILINE))
    for component in pods():
        for entry in container(component)["env"]:
            reference = entry.get("valueFrom", {}).get("secretKeyRef")
            if reference is None:
                continue
            assert reference["key"] in named
            assert reference.get("optional") or reference["key"] in example
    keda = documents("keda.yaml")[0]["spec"]["secretTargetRef"][0]
    assert keda["key"] in example


def test_probes_ask_what_is_served() -> None:
    redis = container("redis")["readinessProbe"]["exec"]["command"]
    assert redis[2] == compose()["redis"]["healthcheck"]["test"][1]
    dockerfile = (REPO / "ops/docker/Dockerfile").read_text()
    probe = container("worker")["livenessProbe"]["exec"]["command"][2]
    assert probe.replace('"', '\\"') in dockerfile, "the health check of the image"
    for component in ("flower", "metrics"):
        asked = container(component)["livenessProbe"]["httpGet"]
        address = f":{asked['port']}{asked['path']}"
        assert address in " ".join(compose()[component]["healthcheck"]["test"])
    services = {d["metadata"]["name"]: d for d in documents() if d["kind"] == "Service"}
    assert services["sigmax-redis"]["spec"]["ports"][0]["port"] == 6379


def test_the_network_is_closed_but_for_what_is_needed() -> None:
    policies = {d["metadata"]["name"]: d["spec"] for d in documents("network-policy.yaml")}
    closed = policies["sigmax-closed"]
    assert closed["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in closed
    assert "egress" not in closed
    block = policies["sigmax-worker-out"]["egress"][0]["to"][0]["ipBlock"]
    assert "169.254.0.0/16" in block["except"], "not the metadata of the cloud"
    outside = [name for name, spec in policies.items() if "ipBlock" in str(spec)]
    assert outside == ["sigmax-worker-out"]


def test_keda_counts_the_queues_of_research() -> None:
    triggers = documents("keda.yaml")[1]["spec"]["triggers"]
    queues = [f"{RESEARCH_QUEUE}:{step}" if step else RESEARCH_QUEUE for step in PRIORITY_STEPS]
    assert [trigger["metadata"]["listName"] for trigger in triggers] == queues


def test_kustomize_finds_every_file() -> None:
    content = yaml.safe_load((REPO / "ops/kustomization.yaml").read_text())
    files = [f for made in content["configMapGenerator"] for f in made["files"]]
    assert all((REPO / "ops" / name).is_file() for name in [*content["resources"], *files])
    assert not {"kubernetes/secret.example.yaml"} & set(content["resources"])


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here")
def test_kubectl_builds_them() -> None:
    command = ["kubectl", "kustomize", str(REPO / "ops")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kinds = [d["kind"] for d in yaml.safe_load_all(done.stdout)]
    assert kinds.count("Deployment") == 4
    assert kinds.count("ConfigMap") == 2
