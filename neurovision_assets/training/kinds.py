"""The three kinds of model that are trained, under the names that the user gave them.

Belongs here: names. Does not belong here: how one is trained (``models/recipes``), when it is good enough (``gate``).
The feature extractor is not among them: it goes along with the phase segmenter, which declares its digest.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final, Literal

import dagster as dg

from models.contracts import ANATOMIST, DETECTOR, SEGMENTER
from resources.errors import ConfigurationError

Annotation = Literal["phases", "boxes", "masks"]


@dataclass(frozen=True)
class ModelKind:
    """One kind.

    Attributes:
        model: name in the model repository and in MLflow's registry (NV-036).
        model_type: name of its parameters and of its MLflow experiment (NV-034, NV-066).
        annotation: what an operation must have to be learned from.
    """

    model: str
    model_type: str
    annotation: Annotation

    @property
    def known_as(self) -> dict[str, str]:
        """Tags of the registered model; the second is the other name that the requirements give it (NV-075, T15)."""
        return {"model_type": self.model_type, "also_known_as": f"neurovision_{self.model_type}"}


PROMOTION: Final = dg.AssetKey(["training", "promotion"])
"""The last of the training assets; the served models are downstream of it."""
KINDS: Final = {
    kind.model: kind
    for kind in (
        ModelKind(SEGMENTER, "phase_segmentation", "phases"),
        ModelKind(DETECTOR, "instrument_detection", "boxes"),
        ModelKind(ANATOMIST, "anatomy_segmentation", "masks"),
    )
}
trained_models = dg.StaticPartitionsDefinition(list(KINDS))
"""The training assets' partitions: the same steps for each model, and one training of a model at a time."""


def model_checks(asset: dg.AssetKey, **descriptions: str) -> list[dg.AssetCheckSpec]:
    """Checks of a training asset, one result a model; partitioned checks are a preview of Dagster's (tests hold it)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(name, asset=asset, partitions_def=trained_models, description=text)
            for name, text in descriptions.items()
        ]


def kind_of(name: str) -> ModelKind:
    """The kind by its model's name or its model type.

    Raises:
        ConfigurationError: nothing of that name is trained.
    """
    for kind in KINDS.values():
        if name in (kind.model, kind.model_type):
            return kind
    raise ConfigurationError(
        f"Nothing called '{name}' is trained.", subject="MODEL", remedy=f"Name one of {', '.join(KINDS)}."
    )
