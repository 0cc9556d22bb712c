"""One question to each kind of server: whether what the settings name can be used.

Belongs here: asking once, without changing anything. Does not belong here: which are asked, and how long one waits
(``checks``), the libraries' own errors (``resources``). Each raises a ``NeuroVisionError`` that says what is wrong.
"""

from __future__ import annotations

import os
import socket
import ssl
from typing import Final
from urllib.parse import urlparse

from resources.errors import ConfigurationError, TransientFailure
from resources.settings import PREFIX, Settings

CONNECT_S: Final = 3.0
READY_TRIES: Final = 4
"""Each waits some seconds; the first request opens the connection, which a busy machine does slowly."""
MLFLOW_CA_FILE: Final = "MLFLOW_TRACKING_SERVER_CERT_PATH"
"""MLflow's own variable: its client reads it too."""
PORTS: Final = {"http": 80, "https": 443, "grpc": 8001, "grpcs": 8001, "postgresql": 5432}
NAME_AUTHORITY: Final = "Name the file with the certificate of the authority that signed it."


def ask_application_database(settings: Settings) -> None:
    """It answers, and this code knows its tables."""
    from resources.database.engine import Database

    Database.of(settings).check()


def ask_replica(settings: Settings) -> None:
    """It answers."""
    from sqlalchemy import select

    from resources.database.engine import Database

    with Database.of(settings).reading_some_seconds_late() as connection:
        connection.execute(select(1))


def ask_dagster_database(settings: Settings) -> None:
    """It answers, and the installed Dagster knows its tables."""
    from resources.dagster_schema import require_current_schema

    require_current_schema(settings.dagster_database_url)


def ask_bucket(settings: Settings, setting: str, url: str) -> None:
    """It is there, and opens to these credentials."""
    from resources.object_store.client import Server, client_of, in_our_words

    server = Server(settings.s3_endpoint_url, settings.s3_region, settings.s3_ca_file)
    bucket = urlparse(url).netloc
    client = client_of(server, attempts=1)
    with in_our_words(setting, bucket):
        client.list_objects_v2(Bucket=bucket, MaxKeys=1)


def ask_triton(settings: Settings) -> None:
    """It takes requests."""
    from resources.inference.engines import open_engine

    engine = open_engine(
        settings.inference_engine,
        threads=settings.inference_threads,
        repository_url=settings.model_repository_url,
        triton_url=settings.triton_url,
        triton_ca_file=settings.triton_ca_file,
        triton_shared_memory=settings.triton_shared_memory,
        triton_deadline_s=settings.triton_deadline_s,
    )
    if urlparse(settings.triton_url).scheme == "grpcs":
        _require_trusted_triton(settings.triton_url, settings.triton_ca_file)
    if not any(engine.is_ready() for _ in range(READY_TRIES)):
        raise TransientFailure(
            "Triton answers, but does not take requests.",
            subject=settings.triton_url,
            remedy="Read its log; where it speaks TLS, write grpcs://.",
        )


def ask_mlflow(settings: Settings) -> None:
    """Its server calls itself healthy."""
    import requests

    trusted = os.environ.get(MLFLOW_CA_FILE) or True
    try:
        answer = requests.get(f"{settings.mlflow_url}/health", timeout=CONNECT_S, verify=trusted)
    except requests.exceptions.SSLError as error:
        raise ConfigurationError(
            "MLflow's certificate is not trusted.", subject=MLFLOW_CA_FILE, remedy=NAME_AUTHORITY
        ) from error
    except requests.RequestException as error:
        raise TransientFailure(
            f"MLflow does not answer ({type(error).__name__}).", subject=settings.mlflow_url, remedy="Start it."
        ) from error
    if not answer.ok:
        raise TransientFailure(
            f"MLflow answers {answer.status_code}.", subject=settings.mlflow_url, remedy="Read its log."
        )


def _require_trusted_triton(url: str, ca_file: str) -> None:
    """Shake hands once: to gRPC a wrong certificate is a server that does not answer."""
    from resources.inference.triton.transport import CA_FILE, unreadable_ca

    place = urlparse(url)
    try:
        trusting = ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise unreadable_ca(error) from error
    trusting.set_alpn_protocols(["h2"])
    try:
        with socket.create_connection((place.hostname, place.port or PORTS["grpcs"]), CONNECT_S) as plain:
            trusting.wrap_socket(plain, server_hostname=place.hostname).close()
    except ssl.SSLCertVerificationError as error:
        raise ConfigurationError(
            "Triton's certificate is not trusted.", subject=CA_FILE, remedy=NAME_AUTHORITY
        ) from error
    except ssl.SSLError as error:
        raise ConfigurationError(
            "Triton does not speak TLS at this address.", subject=f"{PREFIX}TRITON_URL", remedy="Write grpc://."
        ) from error
