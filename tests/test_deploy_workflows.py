"""The workflow: its schema, an audit, and the rows NV-191…204 as docs/decisions.md corrects them."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy_files import KUBERNETES, REPOSITORY, WORKFLOWS, load, schema_errors

PIPELINE: dict[str, Any] = load(WORKFLOWS / "ml-pipeline.yml")
TRIGGERS = PIPELINE["on"]
JOBS: dict[str, dict[str, Any]] = PIPELINE["jobs"]
COMMIT = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")
BUILDS = ("build-training-image", "build-inference-image")


def script(job: str) -> str:
    return "\n".join(step.get("run", "") for step in JOBS[job]["steps"])


def step_using(job: str, action: str) -> dict[str, Any]:
    (found,) = [step for step in JOBS[job]["steps"] if step.get("uses", "").startswith(action)]
    return dict(found)


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.yml")), ids=lambda path: path.name)
def test_the_schema_of_workflows_is_kept(path: Path) -> None:
    assert schema_errors(load(path), "github-workflows") == []


def test_the_audit_finds_nothing() -> None:
    command = [Path(sys.executable).with_name("zizmor"), "--offline", "--no-progress", WORKFLOWS]
    audit = subprocess.run(command, check=False, capture_output=True, text=True)
    assert audit.returncode == 0, audit.stdout


def test_it_starts_where_it_should() -> None:
    """NV-191; the written src/** and configs/** are this repository's folders."""
    assert PIPELINE["name"] == "ML Pipeline"
    assert TRIGGERS["push"]["branches"] == ["main", "develop"]
    assert TRIGGERS["pull_request"]["branches"] == ["main"]
    for pattern in TRIGGERS["push"]["paths"]:
        assert list(REPOSITORY.glob(pattern.removesuffix("/**"))), pattern
    packages = {path.parent.name for path in REPOSITORY.glob("*/__init__.py")} - {"benchmarks"}
    assert {f"{name}/**" for name in packages} <= set(TRIGGERS["push"]["paths"])


def test_images_have_their_registry_and_the_repositorys_name() -> None:
    """NV-192."""
    assert PIPELINE["env"] == {"REGISTRY": "ghcr.io", "IMAGE_NAME": "${{ github.repository }}"}


def test_lint_and_tests() -> None:
    """NV-193…197; Python is the one that pyproject allows."""
    assert JOBS["lint-and-test"]["runs-on"] == "ubuntu-latest"
    assert step_using("lint-and-test", "actions/setup-python")["with"]["python-version"] == "3.11"
    said = script("lint-and-test")
    assert "make lint" in said
    assert "pytest -v" in said
    assert "--cov-report=xml" in said
    assert step_using("lint-and-test", "codecov/codecov-action")["with"]["files"] == "coverage.xml"


def test_the_locked_packages_are_looked_up_and_hold_nothing_up() -> None:
    """CA-052, whose safety is pip-audit here."""
    said = script("known-vulnerabilities")
    assert re.search(r"pip-audit==\d\S* .*--requirement .*\|\| true$", said, re.MULTILINE), "an advisory is no failure"
    assert "for lock in requirements*.lock" in said
    assert not [name for name, job in JOBS.items() if "known-vulnerabilities" in job.get("needs", ())]


def test_images_are_built_after_the_tests_and_pushed_from_branches_only() -> None:
    """NV-198…200."""
    targets = {entry["image"] for entry in JOBS["build-training-image"]["strategy"]["matrix"]["include"]}
    assert targets == {"platform", "training"}
    for name in BUILDS:
        assert JOBS[name]["needs"] == "lint-and-test"
        build = step_using(name, "docker/build-push-action")["with"]
        assert (REPOSITORY / build["file"]).is_file()
        assert build["push"] == "${{ github.event_name != 'pull_request' }}"
        assert build["tags"].endswith(":${{ github.sha }}")
        assert "mode=max" in build["cache-to"]
        assert "secrets.GITHUB_TOKEN" in step_using(name, "docker/login-action")["with"]["password"]
        assert "pin.sh --check" in script(name), "a base image without its digest"


def test_integration_tests_need_both_images_and_always_clean_up() -> None:
    """NV-201."""
    job = JOBS["run-integration-tests"]
    assert job["needs"] == list(BUILDS)
    last = job["steps"][-1]
    assert last["if"] == "always()"
    assert "down --volumes" in last["run"]
    services = load(REPOSITORY / "compose.yaml")["services"]
    assert services["trial"]["profiles"] == ["test"]
    assert "--exit-code-from trial trial" in script("run-integration-tests")


@pytest.mark.parametrize(("environment", "branch"), [("staging", "develop"), ("production", "main")])
def test_a_branch_is_deployed_to_its_environment_only(environment: str, branch: str) -> None:
    """NV-202, NV-203."""
    job = JOBS[f"deploy-{environment}"]
    assert job["environment"] == environment
    assert f"refs/heads/{branch}'" in job["if"]
    assert "github.event_name == 'push'" in job["if"]
    assert set(job["needs"]) == {"run-integration-tests", "test-services"}
    assert f"deploy.sh {environment} " in script(f"deploy-{environment}")
    assert (KUBERNETES / "overlays" / environment / "kustomization.yaml").is_file()


def test_the_team_is_told_of_production() -> None:
    """NV-204."""
    said = step_using("deploy-production", "slackapi/slack-github-action")["with"]
    assert said["webhook"] == "${{ secrets.SLACK_WEBHOOK }}"
    assert re.findall(r"title: (\w+),", said["payload"]) == ["repo", "message", "commit", "author"]


def test_every_action_is_a_commit_and_every_file_and_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    for name, job in JOBS.items():
        assert job["timeout-minutes"] <= 90, name
        for step in job["steps"]:
            assert "uses" not in step or COMMIT.fullmatch(step["uses"]), step
        assert set(re.findall(r"^\s*make ([\w-]+)", script(name), re.MULTILINE)) <= targets, name
        for path in re.findall(r"(?:^|&& |sudo )sh ([\w/.-]+)", script(name), re.MULTILINE):
            assert (REPOSITORY / path).is_file(), path
