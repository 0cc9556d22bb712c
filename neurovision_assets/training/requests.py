"""Asking for a retraining: the one door for a clock, a person in the UI, drift and new annotations.

Belongs here: writing a request down, and which runs follow from requests. Does not belong here: who asks. Requests are
events of the asset ``training/requests`` in Dagster's own log, one sensor reads them, and all that were written for
a model before its run starts are answered by that one run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import dagster as dg

from neurovision_assets.stage.spec import PIPELINE_OWNER
from neurovision_assets.training.kinds import KINDS, kind_of, trained_models

REQUESTS: Final = dg.AssetKey(["training", "requests"])
REASON: Final = "reason"
REQUESTER: Final = "requester"
REASON_TAG: Final = "neurovision/reason"
REQUESTER_TAG: Final = "neurovision/requester"
SHOWN_CHARACTERS: Final = 200
MOST: Final = 1000
"""Requests that one run can answer; the ones after it make another."""

requests_asset = dg.AssetSpec(
    REQUESTS,
    partitions_def=trained_models,
    group_name="training",
    owners=[PIPELINE_OWNER],
    kinds={"dagster"},
    description="Who asked for a retraining of which model, and why: a clock, drift, new annotations, a person.",
)


@dataclass(frozen=True)
class RetrainRequest:
    """One request.

    Attributes:
        number: of the event; they grow.
        model: name in the model repository.
        reason: for people.
        requester: a person's name, or what asked by itself.
    """

    number: int
    model: str
    reason: str
    requester: str


def request_retraining(instance: dg.DagsterInstance, model: str, *, reason: str, requester: str) -> None:
    """Ask for a retraining; asking twice before it starts makes one run.

    Args:
        instance: Dagster's.
        model: name of the model or of its type.
        reason: for people; it must not name a patient.
        requester: who asks.

    Raises:
        ConfigurationError: nothing of that name is trained.
    """
    told = {REASON: reason, REQUESTER: requester}
    instance.report_runless_asset_event(
        dg.AssetMaterialization(REQUESTS, partition=kind_of(model).model, metadata=told)
    )


def read_requests(instance: dg.DagsterInstance, answered: Mapping[str, int]) -> list[RetrainRequest]:
    """Requests that came after the last answered one of their model, oldest first."""
    found = []
    for model in KINDS:
        wanted = dg.AssetRecordsFilter(
            asset_key=REQUESTS, asset_partitions=[model], after_storage_id=answered.get(model, 0)
        )
        for record in instance.fetch_materializations(wanted, limit=MOST, ascending=True).records:
            told = record.asset_materialization.metadata if record.asset_materialization else {}
            reason, requester = (str(told[name].value) if name in told else "" for name in (REASON, REQUESTER))
            found.append(RetrainRequest(record.storage_id, model, reason, requester))
    return found


def runs_for(requests: Collection[RetrainRequest], busy: Collection[str]) -> list[dg.RunRequest]:
    """One run for each model that was asked for since its last run and is not being trained.

    Args:
        requests: all that are open, oldest first.
        busy: models with a retraining that waits or runs; their requests wait.

    Returns:
        Runs whose key holds the newest request, so that a tick that is repeated starts nothing twice.
    """
    runs = []
    for model in KINDS:
        waiting = [one for one in requests if one.model == model]
        if waiting and model not in busy:
            reasons = "; ".join(dict.fromkeys(one.reason for one in waiting))
            requesters = ", ".join(dict.fromkeys(one.requester for one in waiting))
            runs.append(
                dg.RunRequest(
                    run_key=f"{model}:{waiting[-1].number}",
                    partition_key=model,
                    tags={REASON_TAG: reasons[:SHOWN_CHARACTERS], REQUESTER_TAG: requesters[:SHOWN_CHARACTERS]},
                )
            )
    return runs
