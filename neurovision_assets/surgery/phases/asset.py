"""The asset ``surgery/phases``: which phase when.

Belongs here: the recipe. Does not belong here: the segmenter's call and the joining of flicker (``segment``).
"""

import numpy as np
import numpy.typing as npt

from neurovision_assets.artifacts import MAIN_TABLE
from neurovision_assets.schemas import FEATURE_WIDTH, PHASE_SEGMENTS
from neurovision_assets.schemas import PHASES as CONTRACT
from neurovision_assets.stage.recipe import stage_recipe
from neurovision_assets.stage.resolve import model_of
from neurovision_assets.stage.work import Outcome, Work
from neurovision_assets.surgery.phases.config import PhasesConfig
from neurovision_assets.surgery.phases.segment import phase_segments_table, phases_table, predict
from neurovision_assets.surgery.phases.taxonomy import TAXONOMY_FOLDER, Taxonomy, check_segmenter, load_taxonomy
from neurovision_assets.surgery.pipeline import FEATURES, PHASES, SURGERY, VIDEO
from neurovision_assets.surgery.previews import timeline_preview

BATCH_ROWS = 256
SEGMENTS_PART = "segments.parquet"


@stage_recipe(SURGERY, PHASES.name)
def phases(work: Work[PhasesConfig]) -> Outcome:
    """Probability of every phase at every picture (MS-TCN over the whole sequence), and segments."""
    taxonomy = checked_taxonomy(work)
    table = work.table(FEATURES.name, columns=["frame_index", "timestamp_ms"])
    times = table["timestamp_ms"].to_numpy()
    probabilities = predict(vectors_of(work), work.inference, work.config)
    duration_ms = work.facts(VIDEO.name)["duration_ms"]
    segments = phase_segments_table(times, probabilities, taxonomy, duration_ms, work.config)
    work.write(MAIN_TABLE, CONTRACT, phases_table(table["frame_index"].to_numpy(), times, probabilities, taxonomy))
    work.write(SEGMENTS_PART, PHASE_SEGMENTS, segments)
    bands = list(zip(*(segments[name].to_pylist() for name in ("phase", "start_ms", "end_ms")), strict=True))
    return Outcome(
        counts={
            "rows": table.num_rows,
            "phases": len(set(segments["phase"].to_pylist())),
            "segments": segments.num_rows,
            "mean_confidence": round(float(probabilities.max(axis=1).mean()), 4),
        },
        facts={"taxonomy": taxonomy.name, "phases": list(taxonomy.names)},
        preview=timeline_preview(bands, [], duration_ms),
    )


def vectors_of(work: Work[PhasesConfig]) -> npt.NDArray[np.float32]:
    """The features of the whole sequence, float32 [n, 2048], held once: 8 KB a frame, a long video's largest part."""
    vectors = np.empty((work.row_count(FEATURES.name), FEATURE_WIDTH), np.float32)
    filled = 0
    for batch in work.batches(FEATURES.name, ["features"], BATCH_ROWS):
        rows = batch.column("features").flatten().to_numpy().reshape(-1, FEATURE_WIDTH)
        vectors[filled : filled + len(rows)] = rows
        filled += len(rows)
    return vectors


def checked_taxonomy(work: Work[PhasesConfig]) -> Taxonomy:
    """The names of the segmenter's channels, after the check that features, segmenter and names belong together."""
    taxonomy = load_taxonomy(
        work.inference.models.root / work.config.model / TAXONOMY_FOLDER / f"{work.config.taxonomy}.yaml"
    )
    extractor = str(model_of(work.profile, FEATURES.name))
    digest = work.model_used_by(FEATURES.name, extractor)
    check_segmenter(work.model_spec(work.config.model), extractor, digest, taxonomy)
    return taxonomy
