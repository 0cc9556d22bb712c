"""``dagster.yaml`` of one deployment: the repository's, with what the settings decide written in.

Belongs here: storage and compute logs as Dagster's configuration. Does not belong here: what is the same everywhere
(``dagster.yaml``), where the copy lies (``platform``). A secret is never written in: the file names the variable.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlparse

import yaml

from resources.errors import ConfigurationError
from resources.settings import PREFIX, REPOSITORY_ROOT, Settings

INSTANCE_CONFIG: Final = REPOSITORY_ROOT / "dagster.yaml"
DEPLOYMENT_PLACE: Final = "# {DEPLOYMENT}\n"
"""The line of ``dagster.yaml`` in whose stead the deployment's part is written."""
URL_VARIABLE: Final = f"{PREFIX}DAGSTER_DATABASE_URL"
UPLOAD_INTERVAL_S: Final = 30
"""How old what a running step has printed may be in the UI."""


def instance_config(settings: Settings, dagster_home: Path) -> bytes:
    """``dagster.yaml`` for one home.

    Raises:
        ConfigurationError: a setting asks for what is not installed, or is not of the kind it should be.
    """
    text = INSTANCE_CONFIG.read_text(encoding="utf-8")
    deployment = {**_storage(settings, dagster_home), **_compute_logs(settings, dagster_home)}
    return text.replace(DEPLOYMENT_PLACE, yaml.safe_dump(deployment, allow_unicode=True, sort_keys=False)).encode()


def _storage(settings: Settings, dagster_home: Path) -> dict[str, Any]:
    """Where runs, events and schedules are kept: SQLite is Dagster's default, and only its event log is named."""
    if not settings.dagster_database_url:
        return {
            "event_log_storage": {  # Dagster's own, which keeps its files open: a run is two seconds shorter
                "module": "resources.event_log",
                "class": "LocalEventLog",
                "config": {"dagster_home": str(dagster_home)},  # not everything that reads it has the variable
            }
        }
    _require("dagster_postgres", URL_VARIABLE)
    custom = {
        "module": "resources.dagster_storage",
        "class": "PooledPostgresStorage",
        "config": {"postgres_url": {"env": URL_VARIABLE}, "pool_size": settings.database_pool_size},
    }
    return {"storage": {"custom": custom}}


def _compute_logs(settings: Settings, dagster_home: Path) -> dict[str, Any]:
    """Where what runs print is kept: files are Dagster's default."""
    if not settings.compute_logs_url:
        return {}
    variable = f"{PREFIX}COMPUTE_LOGS_URL"
    place = urlparse(settings.compute_logs_url)
    if place.scheme != "s3" or not place.netloc:
        raise ConfigurationError("This names no bucket.", subject=variable, remedy="Write s3://bucket/prefix.")
    _require("dagster_aws", variable)
    config = {
        "bucket": place.netloc,
        "prefix": place.path.strip("/") or "compute-logs",
        "local_dir": str(dagster_home / "storage"),
        "region": settings.s3_region,
        "upload_interval": UPLOAD_INTERVAL_S,
        "skip_empty_files": True,
    }
    if settings.s3_endpoint_url:
        config["endpoint_url"] = settings.s3_endpoint_url
    if settings.s3_ca_file:
        config["verify_cert_path"] = settings.s3_ca_file
    if settings.s3_encryption:
        config["upload_extra_args"] = {"ServerSideEncryption": settings.s3_encryption}
    module = "dagster_aws.s3.compute_log_manager"
    return {"compute_logs": {"module": module, "class": "S3ComputeLogManager", "config": config}}


def _require(library: str, variable: str) -> None:
    if find_spec(library) is None:
        raise ConfigurationError(
            "What it needs is not installed.", subject=variable, remedy="Run: sh scripts/setup.sh services"
        )
