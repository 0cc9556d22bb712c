"""The parameters of the learning loop (NV-017…026), from ``params.yaml``.

Belongs here: names, bounds, presets. Does not belong here: what is done with them. The settings of the platform's own
stages are profiles; these are of data sets and training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from neurovision_assets.training.gate.config import GateConfig, GateParams
from resources.errors import ConfigurationError

PARAMS_FILE: Final = Path(__file__).parent / "params.yaml"
PRODUCTION: Final = "production"
SUM_TOLERANCE: Final = 1e-9


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ExtractFramesParams(_Frozen):
    """Which pictures of a video are kept (NV-017…019).

    Attributes:
        fps: pictures a second; a video of fewer is not filled up.
        resolution: width and height in pixels, padding included.
        format: JPEG only, as everywhere on the platform.
        quality: of libjpeg.
    """

    fps: float = Field(default=2.0, gt=0)
    resolution: tuple[int, int] = (640, 480)
    format: Literal["jpg"] = "jpg"
    quality: int = Field(default=95, ge=1, le=100)


class SplitsParams(_Frozen):
    """How operations are divided (NV-020…022).

    Attributes:
        train_ratio: share of the operations to learn from.
        val_ratio: share to choose the best epoch with.
        test_ratio: share to judge with.
        random_seed: decides between equally good divisions.
        stratify_by: what should be equally frequent in all parts.
        group_by: whose operations stay together. A patient's always do; with ``surgeon`` a surgeon's do as well.
    """

    train_ratio: float = Field(default=0.7, gt=0, lt=1)
    val_ratio: float = Field(default=0.15, gt=0, lt=1)
    test_ratio: float = Field(default=0.15, gt=0, lt=1)
    random_seed: int = Field(default=42, ge=0)
    stratify_by: Literal["operation_type"] = "operation_type"
    group_by: Literal["patient", "surgeon"] = "patient"

    @model_validator(mode="after")
    def _sum_to_one(self) -> SplitsParams:
        total = self.train_ratio + self.val_ratio + self.test_ratio
        if abs(total - 1) > SUM_TOLERANCE:
            raise ValueError(f"train_ratio, val_ratio and test_ratio must sum to 1, not {total:g}")
        return self

    @property
    def ratios(self) -> dict[str, float]:
        """Share of each split."""
        return {"train": self.train_ratio, "val": self.val_ratio, "test": self.test_ratio}


class FeaturesParams(_Frozen):
    """The backbone (NV-023).

    Attributes:
        model: its name in the model repository.
        batch_size: pictures handed over together.
        normalize: whether vectors get length one.
    """

    model: str = Field(default="resnet50", min_length=1)
    batch_size: int = Field(default=32, ge=1, le=1024)
    normalize: bool = True


class PhaseSegmentationParams(_Frozen):
    """Training of MS-TCN (NV-024). Here and below, `patience` epochs without a better validation F1 end a training."""

    epochs: int = Field(default=100, ge=1)
    patience: int = Field(default=25, ge=1)
    batch_size: int = Field(default=8, ge=1)
    learning_rate: float = Field(default=0.001, gt=0)
    weight_decay: float = Field(default=0.0001, ge=0)
    num_stages: int = Field(default=4, ge=1)
    num_layers: int = Field(default=10, ge=1)


class InstrumentDetectionParams(_Frozen):
    """Training of the detector (NV-025); `img_size` is the side of its square input in pixels."""

    epochs: int = Field(default=200, ge=1)
    patience: int = Field(default=20, ge=1)
    batch_size: int = Field(default=16, ge=1)
    img_size: int = Field(default=640, ge=32)
    learning_rate: float = Field(default=0.01, gt=0)
    augmentation: bool = True


class AnatomySegmentationParams(_Frozen):
    """Training of the tissue segmenter (NV-026)."""

    epochs: int = Field(default=150, ge=1)
    patience: int = Field(default=20, ge=1)
    batch_size: int = Field(default=4, ge=1)
    learning_rate: float = Field(default=0.0001, gt=0)
    use_pretrained_sam: bool = True

    def check_weights(self) -> None:
        """Refuse to begin from weights that nobody has brought.

        Raises:
            ConfigurationError: pretrained SAM is asked for.
        """
        if self.use_pretrained_sam:
            raise ConfigurationError(
                "Pretrained SAM is asked for, and there are no weights of it: none come with the platform.",
                subject="training.anatomy_segmentation.use_pretrained_sam",
                remedy="""Train without: SET='{"use_pretrained_sam": false}', or the preset laptop.""",
            )


class TrainingParams(_Frozen):
    """Parameters of each model type."""

    phase_segmentation: PhaseSegmentationParams = PhaseSegmentationParams()
    instrument_detection: InstrumentDetectionParams = InstrumentDetectionParams()
    anatomy_segmentation: AnatomySegmentationParams = AnatomySegmentationParams()


class LearningParams(_Frozen):
    """All of one preset; the defaults are the written ones, `production`.

    The gate is not written to the data sets' repository: what is asked of a model makes no other data.
    """

    extract_frames: ExtractFramesParams = ExtractFramesParams()
    splits: SplitsParams = SplitsParams()
    features: FeaturesParams = FeaturesParams()
    training: TrainingParams = TrainingParams()
    gate: GateParams = Field(default=GateParams(), exclude=True)


def load_params(preset: str, path: Path = PARAMS_FILE) -> LearningParams:
    """One preset of a file: what it leaves out is as in `production`.

    Args:
        preset: its name in the file.
        path: a file with presets.

    Raises:
        ConfigurationError: there is no such preset, or a value cannot be used; it is named.
    """
    presets = yaml.safe_load(path.read_text(encoding="utf-8"))
    if preset not in presets:
        raise ConfigurationError(
            f"There is no preset '{preset}'.",
            subject="PRESET",
            remedy=f"Take one of {', '.join(presets)} (a deployment's is NEUROVISION_TRAINING_PRESET).",
        )
    try:
        return LearningParams.model_validate(_merged(presets[PRODUCTION], presets[preset]))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise ConfigurationError(
            f"The parameter cannot be used: {first['msg']}.",
            subject=f"{path.name}, {preset}.{name}",
            remedy="Correct it.",
        ) from error


def load_gate(model_type: str, preset: str) -> GateConfig:
    """What one preset asks of a model type.

    Raises:
        ConfigurationError: there is no such preset, or a value cannot be used.
    """
    gate: GateConfig = getattr(load_params(preset).gate, model_type)
    return gate


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The base with every value that the changes name, section by section."""
    merged = dict(base)
    for name, value in changes.items():
        both = isinstance(value, dict) and isinstance(base.get(name), dict)
        merged[name] = _merged(base[name], value) if both else value
    return merged
