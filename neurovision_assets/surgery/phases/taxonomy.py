"""Names of phases: data beside the model, ``taxonomies/NAME.yaml``.

Belongs here: reading a taxonomy and the check that models, features and taxonomy belong together. Does not belong here:
names themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from neurovision_assets.schemas import FEATURE_WIDTH
from resources.errors import ConfigurationError
from resources.inference.spec import ModelSpec

TAXONOMY_FOLDER = "taxonomies"
DIGEST_PARAMETER = "feature_extractor_digest"
WIDTH_PARAMETER = "feature_width"


class Phase(BaseModel):
    """One phase.

    Attributes:
        id: the model's output channel.
        name: the word in tables, lower case with hyphens.
        title: what people read, by language; the name where a language is absent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: int = Field(ge=0)
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: Mapping[str, str] = Field(default_factory=dict)


class Taxonomy(BaseModel):
    """Phases in the order of a model's output channels.

    Attributes:
        name: name of the file without its ending.
        title: what it is.
        phases: ids 0, 1, 2, … in order, names unique.
        from_default: what each phase of the default taxonomy counts as here; serves evaluation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    phases: tuple[Phase, ...] = Field(min_length=1)
    from_default: Mapping[str, str] = Field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Phase names by channel."""
        return tuple(phase.name for phase in self.phases)

    @model_validator(mode="after")
    def _is_consistent(self) -> Taxonomy:
        if [phase.id for phase in self.phases] != list(range(len(self.phases))):
            raise ValueError("ids must be 0, 1, 2, … in order")
        if len(set(self.names)) != len(self.names):
            raise ValueError("a name comes twice")
        strangers = sorted(set(self.from_default.values()) - set(self.names))
        if strangers:
            raise ValueError(f"from_default leads to unknown phases {strangers}")
        return self


def load_taxonomy(path: Path) -> Taxonomy:
    """Read one taxonomy.

    Args:
        path: ``<repository>/<model>/taxonomies/<name>.yaml``.

    Raises:
        ConfigurationError: there is no such file, or it is not a taxonomy.
    """
    if not path.is_file():
        installed = sorted(found.stem for found in path.parent.glob("*.yaml"))
        raise ConfigurationError(
            f"The model has no taxonomy '{path.stem}'.",
            subject=f"model {path.parent.parent.name}",
            remedy=f"Use one of {installed}." if installed else f"Put {path.name} into its folder {TAXONOMY_FOLDER}.",
        )
    try:
        return Taxonomy.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError, ValidationError) as error:
        reason = "; ".join(e["msg"] for e in error.errors()) if isinstance(error, ValidationError) else str(error)
        raise ConfigurationError(
            f"The taxonomy cannot be used: {reason}.",
            subject=f"{path.parent.parent.name}/{TAXONOMY_FOLDER}/{path.name}",
            remedy="Correct the file; models/phase_segmenter/taxonomies/default.yaml shows the form.",
        ) from error


def check_segmenter(segmenter: ModelSpec, extractor: str, extractor_digest: str, taxonomy: Taxonomy) -> None:
    """Refuse a segmenter that was not trained on these features, or whose channels the taxonomy does not name.

    Args:
        segmenter: the segmenter's promise.
        extractor: name of the backbone that made the features.
        extractor_digest: its digest, of the features' provenance and not of today's repository.
        taxonomy: the names that would be given to the channels.

    Raises:
        ConfigurationError: they do not belong together; it names both sides.
    """
    _check_features(segmenter, extractor, extractor_digest)
    label = segmenter.identity.label
    predictions = segmenter.outputs.get("predictions")
    channels = predictions.dims[-1] if predictions else None
    if channels != len(taxonomy.phases):
        raise ConfigurationError(
            f"It tells {channels} phases, the taxonomy '{taxonomy.name}' names {len(taxonomy.phases)}.",
            subject=label,
            remedy="Choose the taxonomy that the model was trained with.",
        )
    if segmenter.labels and segmenter.labels != taxonomy.names:
        raise ConfigurationError(
            f"Its labels are {list(segmenter.labels)}, the taxonomy '{taxonomy.name}' says {list(taxonomy.names)}.",
            subject=label,
            remedy="Choose the taxonomy that the model was trained with, or correct one of the two files.",
        )


def _check_features(segmenter: ModelSpec, extractor: str, extractor_digest: str) -> None:
    label = segmenter.identity.label
    declared = segmenter.parameters.get(DIGEST_PARAMETER, "")
    if declared != extractor_digest:
        trained_on = f"the backbone {declared[:12]}…" if declared else "a backbone that it does not name"
        raise ConfigurationError(
            f"It was trained on features of {trained_on}; these are of {extractor} {extractor_digest[:12]}….",
            subject=label,
            remedy=f"Use the two models that belong together, or retrain it and declare {DIGEST_PARAMETER}.",
        )
    width = segmenter.parameters.get(WIDTH_PARAMETER, "")
    takes = segmenter.inputs["features"].dims[-1] if "features" in segmenter.inputs else None
    if width != str(FEATURE_WIDTH) or takes != FEATURE_WIDTH:
        raise ConfigurationError(
            f"It declares {WIDTH_PARAMETER} '{width}' and takes vectors of {takes}; {extractor} gives {FEATURE_WIDTH}.",
            subject=label,
            remedy="Use a segmenter of that width.",
        )
