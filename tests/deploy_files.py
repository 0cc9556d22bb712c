"""What the files of a deployment say, read the way their own programs read them.

Belongs here: loading compose, Kubernetes and workflow files, the settings that they name. Does not belong here: tests.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import check_jsonschema.builtin_schemas
import jsonschema
import yaml

from resources.settings import FILE_ENDING, PREFIX, SECRET_VARIABLES, Secrets, Settings

REPOSITORY = Path(__file__).resolve().parents[1]
DEPLOY = REPOSITORY / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
WORKFLOWS = REPOSITORY / ".github" / "workflows"
VENDORED = Path(check_jsonschema.builtin_schemas.__file__).parent / "vendor"

KNOWN_SETTINGS = {PREFIX + name.upper() for name in Settings.model_fields}
KNOWN_SECRETS = {name.upper() for name in Secrets.model_fields} | set(SECRET_VARIABLES)
OTHERS_SETTINGS = {
    "AWS_DEFAULT_REGION",
    "DAGSTER_PG_PASSWORD",  # of the dagster.yaml that Dagster's chart writes
    "MLFLOW_S3_ENDPOINT_URL",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION",
    "MODEL_REPOSITORY",  # of inference.yaml itself
}
"""What other programs read, so that no setting of ours can vouch for it."""


def load(path: Path) -> Any:
    """A YAML file of one document."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def documents(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every document of a folder's manifests, with a name to show."""
    for path in sorted(folder.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if path.name != "kustomization.yaml":
                yield f"{path.name}/{document['kind']}/{document['metadata']['name']}", document


def deployment_files() -> list[Path]:
    """Everything that a deployment is made of, secrets that were made aside."""
    found = [REPOSITORY / "compose.yaml", REPOSITORY / ".dockerignore", *DEPLOY.rglob("*"), *WORKFLOWS.glob("*")]
    return [path for path in found if path.is_file() and "secrets" not in path.relative_to(REPOSITORY).parts[:-1]]


def schema_errors(instance: Any, schema: str) -> list[str]:
    """What a schema that comes with check-jsonschema has against a file."""
    content = json.loads((VENDORED / f"{schema}.json").read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(content)(content)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(instance)]


def unknown_variables(environment: Mapping[str, Any]) -> list[str]:
    """Variables that are no setting and no secret of ours, nor known to belong to another program."""
    return [name for name in environment if not _is_known(name)]


def _is_known(name: str) -> bool:
    if name.endswith(FILE_ENDING) and name.removesuffix(FILE_ENDING) in KNOWN_SECRETS:
        return True
    return name in KNOWN_SETTINGS | KNOWN_SECRETS | OTHERS_SETTINGS


def ports_of(url: str) -> tuple[str, int]:
    """Host and port of a URL."""
    found = re.search(r"//(?:[^@/]*@)?([\w.-]+):(\d+)", url)
    assert found, url
    return found[1], int(found[2])
