"""The log of a run that a command starts: what a person follows on the terminal, and how the run failed.

Belongs here: which of Dagster's events are printed, a failed run in the words of its error. Does not belong here: what
a run does, exit codes. A traceback says nothing to whoever can mend a setting; Dagster's event log keeps it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import dagster as dg

from resources.errors import NeuroVisionError, PermanentFailure

if TYPE_CHECKING:
    from dagster_shared.error import SerializableErrorInfo

BLOCKED: Final = "DagsterAssetCheckFailedError"
"""A check stopped the run; its own words say why."""
GO_ON: Final = "The same command again goes on from the training's last checkpoint."
STOPPED: Final = dg.DagsterExecutionInterruptedError.__name__
NOT_BEGUN: Final = "Not executing."
"""How Dagster's line on each step behind a failed one ends."""


@dg.logger(config_schema={"log_level": dg.Field(str, default_value="INFO")}, description="For a person at a terminal.")
def terminal_logger(context: dg.InitLoggerContext) -> logging.Logger:
    """Dagster's console, without tracebacks of failures that the command says in one line at its end."""
    console = dg.colored_console_logger.logger_fn(
        dg.build_init_logger_context({"name": "dagster", "log_level": context.logger_config["log_level"]})
    )
    console.addFilter(_is_printed)
    return console


def failure_of(result: dg.ExecuteInProcessResult, subject: str) -> PermanentFailure:
    """How a run failed: the words of the check that blocked it, or of the first step that failed.

    Args:
        result: of a run that failed.
        subject: what the run was to do; an error of ours names its own.
    """
    run = f"(run {result.run_id})"
    for check in result.get_asset_check_evaluations():
        is_error = check.severity is dg.AssetCheckSeverity.ERROR  # a warning has stopped nothing
        if check.blocking and is_error and not check.passed and check.description:
            return PermanentFailure(check.description, subject=subject, remedy=run)
    for event in result.all_events:
        if event.is_step_failure and (error := event.step_failure_data.error):
            cause = error.cause or error
            if cause.cls_name == STOPPED:
                return PermanentFailure("It was stopped.", subject=subject, remedy=GO_ON)
            if not _is_ours(cause):
                return PermanentFailure(cause.message.strip(), subject=subject, remedy=run)
            _, _, words = cause.message.strip().partition(": ")  # the class comes first
            own, _, problem = words.partition(": ")
            return PermanentFailure(problem, subject=own, remedy=run)
    return PermanentFailure("The run failed.", subject=subject, remedy=run)


def _is_printed(record: logging.LogRecord) -> bool:
    if record.getMessage().endswith(NOT_BEGUN):
        return False
    event: dg.DagsterEvent | None = getattr(record, "dagster_event", None)
    error = None
    if event is not None and event.is_step_failure:
        error = event.step_failure_data.error
    elif event is not None and event.is_job_failure:
        error = event.job_failure_data.error
    cause = error and (error.cause or error)
    return cause is None or not (_is_ours(cause) or cause.cls_name in (BLOCKED, STOPPED))


def _is_ours(error: SerializableErrorInfo) -> bool:
    return error.cls_name in _names(NeuroVisionError)


def _names(kind: type[NeuroVisionError]) -> set[str]:
    return {kind.__name__}.union(*(_names(one) for one in kind.__subclasses__()))
