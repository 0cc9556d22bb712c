"""Whether what the settings name answers: asked before work starts, and by ``make doctor``.

Belongs here: which servers are asked, with a short deadline, and what is needed for what. Does not belong here: the
questions (``questions``), how the answers are shown (``doctor``). On a laptop's defaults nothing is asked.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Final
from urllib.parse import urlparse

from commands.questions import (
    CONNECT_S,
    PORTS,
    ask_application_database,
    ask_bucket,
    ask_dagster_database,
    ask_mlflow,
    ask_replica,
    ask_triton,
)
from resources.errors import ConfigurationError, NeuroVisionError, TransientFailure
from resources.postgres import is_postgres, without_password
from resources.settings import PREFIX, Settings

DEADLINE_S: Final = 30.0
"""A library that is loaded for the first time takes some of it."""


@dataclass(frozen=True)
class Check:
    """One question.

    Attributes:
        name: of what is asked.
        setting: that leads to it.
        where: its address, without secrets.
        ask: raises what is wrong.
        libraries: that asking needs; loading them takes seconds, which are not the server's.
        is_for_videos: whether videos cannot be processed without it.
    """

    name: str
    setting: str
    where: str
    ask: Callable[[], None]
    libraries: tuple[str, ...]
    is_for_videos: bool = True


@dataclass(frozen=True)
class Answer:
    """What came of a question: None where all is well."""

    check: Check
    error: NeuroVisionError | None


def checks_of(settings: Settings) -> list[Check]:
    """Every server that the settings name."""
    return [*_databases(settings), *_buckets(settings), *_others(settings)]


def answers_to(checks: Sequence[Check]) -> list[Answer]:
    """Ask all at once; what does not answer in time is an answer too, whatever its library waits for."""
    answers: dict[str, NeuroVisionError | None] = {}

    def ask(check: Check) -> None:
        answers[check.name] = _failure_of(check)

    for library in sorted({library for check in checks for library in check.libraries}):
        with suppress(ModuleNotFoundError):  # whoever asks says it in our words
            import_module(library)
    threads = [threading.Thread(target=ask, args=(check,), daemon=True) for check in checks]
    deadline_s = time.monotonic() + DEADLINE_S
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline_s - time.monotonic()))
    return [Answer(check, answers[check.name] if check.name in answers else _silent(check)) for check in checks]


def require_answers(settings: Settings) -> None:
    """Refuse to start work that cannot succeed.

    Raises:
        NeuroVisionError: the first server that is needed for videos and cannot be used; the others are lines of it.
    """
    wrong = [a.error for a in answers_to([c for c in checks_of(settings) if c.is_for_videos]) if a.error is not None]
    if wrong:
        first, *others = wrong
        more = "".join(f"\nerror: {told}" for told in dict.fromkeys(map(str, others)) if told != str(first))
        raise type(first)(first.problem, subject=first.subject, remedy=first.remedy + more)


def _databases(settings: Settings) -> Iterator[Check]:
    ours, its = ("psycopg2", "resources.database.engine"), ("dagster_postgres.utils", "resources.dagster_schema")
    for name, setting, url, ask, libraries, is_needed in (
        ("application database", "DATABASE_URL", settings.database_url, ask_application_database, ours, True),
        ("read replica", "DATABASE_REPLICA_URL", settings.database_replica_url, ask_replica, ours, False),
        ("Dagster's database", "DAGSTER_DATABASE_URL", settings.dagster_database_url, ask_dagster_database, its, True),
    ):
        if is_postgres(url):
            where = without_password(url)
            yield Check(name, PREFIX + setting, where, partial(ask, settings), libraries, is_for_videos=is_needed)


def _buckets(settings: Settings) -> Iterator[Check]:
    for name, setting, url, is_needed in (
        ("object store", "OBJECT_STORE_URL", settings.object_store_url, True),
        ("model repository", "MODEL_REPOSITORY_URL", settings.model_repository_url, True),
        ("compute logs", "COMPUTE_LOGS_URL", settings.compute_logs_url, True),
        ("data sets' remote", "DATASET_REMOTE_URL", settings.dataset_remote_url, False),
    ):
        if url.startswith("s3://"):
            where = f"{url} on {settings.s3_endpoint_url or 'Amazon S3'}"
            ask = partial(ask_bucket, settings, PREFIX + setting, url)
            libraries = ("boto3.session", "resources.object_store.client")
            yield Check(name, PREFIX + setting, where, ask, libraries, is_for_videos=is_needed)


def _others(settings: Settings) -> Iterator[Check]:
    if settings.inference_engine == "triton":
        scheme = urlparse(settings.triton_url).scheme.removesuffix("s")
        libraries = ("resources.inference.engines", "pybreaker", f"tritonclient.{scheme}")
        yield Check("Triton", f"{PREFIX}TRITON_URL", settings.triton_url, partial(ask_triton, settings), libraries)
    if settings.mlflow_url:
        where, ask = settings.mlflow_url, partial(ask_mlflow, settings)
        yield Check("MLflow", f"{PREFIX}MLFLOW_URL", where, ask, ("requests",), is_for_videos=False)


def _failure_of(check: Check) -> NeuroVisionError | None:
    try:
        _require_listening(check)
        check.ask()
    except NeuroVisionError as error:
        return error
    except Exception as error:  # noqa: BLE001 - a check must not end what it is asked for with a traceback
        return TransientFailure(
            f"It cannot be used ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}).",
            subject=check.setting,
            remedy="Check the setting and the server's log.",
        )
    return None


def _require_listening(check: Check) -> None:
    """A port where nobody listens is known at once; the libraries would try again and again first."""
    place = urlparse(check.where.rpartition(" on ")[2])
    if not place.hostname:
        return
    port = place.port or PORTS.get(place.scheme.partition("+")[0], 443)
    try:
        socket.create_connection((place.hostname, port), CONNECT_S).close()
    except socket.gaierror as error:
        raise ConfigurationError(
            f"There is no host '{place.hostname}'.", subject=check.setting, remedy="Correct the name."
        ) from error
    except OSError as error:
        raise TransientFailure(
            f"Nothing answers at {place.hostname}:{port} ({error.strerror or 'no answer in time'}).",
            subject=check.setting,
            remedy=f"Start what should listen there ({check.name}), or correct the address.",
        ) from error


def _silent(check: Check) -> NeuroVisionError:
    return TransientFailure(
        f"It took the connection and said nothing for {DEADLINE_S:.0f} s ({check.where}).",
        subject=check.setting,
        remedy=f"Look whether it hangs ({check.name}).",
    )
