"""deploy.sh with kubectl's own rendering: what is sent to a cluster and in which order, and that a failure ends it.

No cluster is here: what would speak to one (`kubectl apply`, `helm`) is a stand-in that notes what it is given.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.deploy_files import KUBERNETES, REPOSITORY

IMAGES, TAG = "registry.example/hospital/neurovision", "0123abc"
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >>"{calls}"
case "$*" in
kustomize*) exec "{kubectl}" "$@" ;;
apply*) cp "$4" "{applied}" ;;
esac
case "$(basename "$0") $*" in {fails}) exit 1 ;; esac
"""


@dataclass(frozen=True)
class Deployed:
    """What came of it."""

    code: int
    calls: list[str]
    applied: Path


def deploy(folder: Path, stage: str, *more: str, fails: str = "nothing") -> Deployed:
    """Run the script with stand-ins on its PATH."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl, which renders overlays, is not installed")
    calls, applied = folder / "calls", folder / "applied.yaml"
    for name in ("kubectl", "helm"):
        program = folder / name
        program.write_text(STAND_IN.format(calls=calls, applied=applied, kubectl=kubectl, fails=fails))
        program.chmod(0o755)
    command = ["sh", KUBERNETES / "deploy.sh", stage, IMAGES, TAG, *more]
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
    return Deployed(done.returncode, calls.read_text().splitlines(), applied)


def words_of(call: str) -> str:
    return " ".join(call.split()[:2])


@pytest.mark.parametrize("stage", ["staging", "production"])
def test_a_commit_s_images_and_the_locked_chart_are_sent(tmp_path: Path, stage: str) -> None:
    deployed = deploy(tmp_path, stage, "--set", "migrate.enabled=true")
    assert deployed.code == 0
    order = ["kubectl config", "kubectl kustomize", "kubectl apply", "helm upgrade"]
    assert [words_of(call) for call in deployed.calls] == [*order, *["kubectl --namespace"] * 4]
    assert deployed.calls[0].endswith(f"use-context {stage}")
    assert deployed.calls[4].endswith("rollout restart deployment/metrics"), "it reads what helm has just written"
    text = deployed.applied.read_text()
    images = set(re.findall(r"image: (\S+)", text))
    assert images == {f"{IMAGES}/{name}:{TAG}" for name in ("platform", "inference", "training")}
    assert f"postgres.{stage}.example.internal" in text
    assert all(document["kind"] for document in yaml.safe_load_all(text))
    helm = deployed.calls[3]
    locked = re.search(r"^dagster==(\S+)$", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE)
    assert locked
    assert f"--version {locked[1]} " in helm
    assert helm.count(f"{IMAGES}/platform") == 4
    assert helm.count(TAG) == 4
    assert helm.endswith("--set migrate.enabled=true")


@pytest.mark.parametrize("fails", ["kubectl*config*", "kubectl*apply*", "helm*"])
def test_what_fails_ends_it(tmp_path: Path, fails: str) -> None:
    deployed = deploy(tmp_path, "staging", fails=fails)
    assert deployed.code != 0
    assert not [call for call in deployed.calls if "rollout" in call]
    assert words_of(deployed.calls[-1]) == fails.replace("*", " ").strip().replace("helm", "helm upgrade")
