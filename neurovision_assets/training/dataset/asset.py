"""The data of training in the asset graph: imported sets → frames → annotations → splits, and the checkpoint.

Belongs here: the assets, their metadata, and telling DVC what they made. Does not belong here: what a stage computes
(``training/stages`` and the rooms behind it). Every asset carries the DVC revision and the hash of its content.
What computes is imported where it is used: every start of the platform loads this module.
"""

from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from neurovision_assets.stage.spec import PIPELINE_OWNER
from neurovision_assets.training.dataset.layout import CODE_VERSIONS, DATASETS, Layout
from neurovision_assets.training.dataset.told import CORRECTIONS_NAME, dataset_key, dataset_metadata, recorded
from resources.datasets import DatasetRepository
from resources.inference.client import InferenceResource
from resources.settings import load_settings

if TYPE_CHECKING:
    from neurovision_assets.training.params import LearningParams
    from neurovision_assets.training.splits.assign import Division

GROUP = "annotations"
KINDS = {"dvc", "parquet"}
FRAMES_KEY, ANNOTATIONS_KEY, SPLITS_KEY, FEATURES_KEY = map(
    dataset_key, ("frames", "annotations", "splits", "features")
)
SOURCES = (*DATASETS, CORRECTIONS_NAME)


class PresetConfig(dg.Config):
    """Which parameters to work with."""

    preset: str = Field(default="", description="Preset of training/params.yaml; the deployment's without one.")

    def params(self) -> "LearningParams":
        """The parameters.

        Raises:
            ConfigurationError: there is no such preset.
        """
        from neurovision_assets.training.params import load_params

        return load_params(self.preset or load_settings().training_preset)


source_assets = [
    dg.AssetSpec(
        dataset_key(name),
        group_name=GROUP,
        owners=[PIPELINE_OWNER],
        kinds=KINDS,
        description="What reviewers said: make correct FILE=…"
        if name == CORRECTIONS_NAME
        else f"Annotated operations in the layout of {name}: make import DATASET={name} PATH_TO=…",
    )
    for name in SOURCES
]


@dg.asset(
    key=FRAMES_KEY,
    deps=[dataset_key(name) for name in SOURCES],
    group_name=GROUP,
    owners=[PIPELINE_OWNER],
    kinds=KINDS,
    code_version=CODE_VERSIONS["extract_frames"],
)
def dataset_frames(
    context: dg.AssetExecutionContext, config: PresetConfig, datasets: DatasetRepository
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Stored pictures of every imported operation that has a video or pictures, at the default sampling policy."""
    from neurovision_assets.training.dataset.frames import extract_frames
    from neurovision_assets.training.dataset.schemas import FRAMES
    from neurovision_assets.training.stages import prepare

    with datasets.lock():
        layout, params = Layout(datasets.root), config.params()
        prepare(layout, params)
        counts = extract_frames(layout, params.extract_frames, on_operation=context.log.info)
        version = datasets.record(["extract_frames"], "Extract frames")
        return recorded(layout.version.content_hash([FRAMES]), version, dict(counts))


@dg.asset(
    key=ANNOTATIONS_KEY,
    deps=[FRAMES_KEY, *(dataset_key(name) for name in SOURCES)],
    group_name=GROUP,
    owners=[PIPELINE_OWNER],
    kinds=KINDS,
    code_version=CODE_VERSIONS["create_annotations"],
)
def dataset_annotations(config: PresetConfig, datasets: DatasetRepository) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """All sets and all corrections as one: of what was said twice, the latest author's word."""
    from neurovision_assets.training.stages import create_annotations, prepare

    with datasets.lock():
        layout = Layout(datasets.root)
        prepare(layout, config.params())
        folder = create_annotations(layout)
        version = datasets.record(["create_annotations"], "Merge annotations")
        return recorded(folder.content_hash(), version, dataset_metadata(folder))


@dg.asset(
    key=SPLITS_KEY,
    deps=[ANNOTATIONS_KEY],
    group_name=GROUP,
    owners=[PIPELINE_OWNER],
    kinds=KINDS,
    code_version=CODE_VERSIONS["create_splits"],
)
def dataset_splits(
    context: dg.AssetExecutionContext, config: PresetConfig, datasets: DatasetRepository
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Who is learned from and who judges. With it a version is whole: it gets its tag and goes to the remote."""
    from neurovision_assets.training.stages import create_splits, prepare

    with datasets.lock():
        layout, params = Layout(datasets.root), config.params()
        prepare(layout, params)
        division = create_splits(layout, params.splits)
        for shortfall in division.shortfalls():
            context.log.warning(shortfall)
        datasets.record(["create_splits"], "Divide operations")
        return recorded(layout.version.content_hash(), datasets.publish(), _division_metadata(division))


@dg.asset(
    key=FEATURES_KEY,
    deps=[FRAMES_KEY, dg.AssetKey(["registry", "feature_extractor"])],
    group_name=GROUP,
    owners=[PIPELINE_OWNER],
    kinds=KINDS | {"onnx"},
    code_version=CODE_VERSIONS["extract_features"],
)
def dataset_features(
    context: dg.AssetExecutionContext, config: PresetConfig, datasets: DatasetRepository, inference: InferenceResource
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Feature vectors of the stored pictures, whatever split they are in."""
    from neurovision_assets.training.dataset.features import extract_features
    from neurovision_assets.training.stages import prepare

    with datasets.lock():
        layout, params = Layout(datasets.root), config.params()
        prepare(layout, params)
        counts = extract_features(layout, params.features, inference, on_operation=context.log.info)
        version = datasets.record(["extract_features"], "Extract features")
        return recorded(layout.features_hash(), version, dict(counts))


def _division_metadata(division: "Division") -> dict[str, object]:
    rows = [
        dg.TableRecord(
            {
                "split": split,
                "operation_type": kind,
                "operations": division.counts[split].get(kind, 0),
                "wished": wished,
            }
        )
        for split, kinds in division.wished.items()
        for kind, wished in kinds.items()
    ]
    largest = max(division.groups, key=len)
    return {
        "division": dg.TableMetadataValue(
            rows,
            dg.TableSchema([dg.TableColumn(name) for name in ("split", "operation_type", "operations", "wished")]),
        ),
        "groups": len(division.groups),
        "operations_of_the_largest_group": len(largest),
        "shortfalls": dg.MetadataValue.json(division.shortfalls()),
    }


dataset_assets: list[dg.AssetSpec | dg.AssetsDefinition] = [
    *source_assets,
    dataset_frames,
    dataset_annotations,
    dataset_splits,
    dataset_features,
]
