"""Surgical video: its stages in the order the data flows, each declared once.

Belongs here: what each stage reads, its group, its share of the progress, its code version. Does not belong here: what
a stage does (the rooms). Raise a stage's ``code_version`` whenever its results may change: stored results become stale.
"""

from __future__ import annotations

from neurovision_assets import schemas
from neurovision_assets.stage.pipeline import Pipeline
from neurovision_assets.stage.spec import ProgressSpan, StageSpec
from neurovision_assets.surgery.anatomy.config import AnatomyConfig
from neurovision_assets.surgery.events.config import EventsConfig
from neurovision_assets.surgery.features.config import FeaturesConfig
from neurovision_assets.surgery.frames.config import SAMPLING_POLICY_VERSION, FramesConfig
from neurovision_assets.surgery.instruments.config import InstrumentsConfig
from neurovision_assets.surgery.phases.config import PhasesConfig
from neurovision_assets.surgery.report.config import ReportConfig
from neurovision_assets.surgery.video.config import VideoConfig

DOMAIN = "surgery"

RUN_TIME_FACTOR = 6
"""A run may take this many times a video's length."""

VIDEO = StageSpec(
    domain=DOMAIN,
    name="video",
    group="ingest",
    inputs=(),
    config_type=VideoConfig,
    code_version="1",
    progress=ProgressSpan(0, 10, "Видео загружено"),
    kinds=frozenset({"video", "ffmpeg"}),
    priority=90,
    run_time_s=lambda facts: RUN_TIME_FACTOR * facts["duration_ms"] / 1000,
)
FRAMES = StageSpec(
    domain=DOMAIN,
    name="frames",
    group="frames",
    inputs=("video",),
    config_type=FramesConfig,
    code_version="1",
    progress=ProgressSpan(10, 20, "Извлечено {rows} кадров"),
    contract=schemas.FRAMES,
    kinds=frozenset({"parquet", "ffmpeg"}),
    priority=80,
)
FEATURES = StageSpec(
    domain=DOMAIN,
    name="features",
    group="frames",
    inputs=("frames",),
    models=("feature_extractor",),
    config_type=FeaturesConfig,
    code_version="1",
    progress=ProgressSpan(20, 35, "Вычислено {rows} признаков"),
    contract=schemas.FEATURES,
    kinds=frozenset({"parquet", "onnx"}),
    priority=70,
)
PHASES = StageSpec(
    domain=DOMAIN,
    name="phases",
    group="predictions",
    inputs=("video", "features"),
    models=("feature_extractor", "phase_segmenter"),
    config_type=PhasesConfig,
    code_version="1",
    progress=ProgressSpan(35, 40, "Найдено {phases} фаз"),
    contract=schemas.PHASES,
    kinds=frozenset({"parquet", "onnx"}),
    priority=60,
)
INSTRUMENTS = StageSpec(
    domain=DOMAIN,
    name="instruments",
    group="predictions",
    inputs=("frames",),
    models=("instrument_detector",),
    config_type=InstrumentsConfig,
    code_version="1",
    progress=ProgressSpan(40, 60, "Найдено {instruments} инструментов"),
    contract=schemas.DETECTIONS,
    kinds=frozenset({"parquet", "onnx"}),
    priority=50,
)
ANATOMY = StageSpec(
    domain=DOMAIN,
    name="anatomy",
    group="predictions",
    inputs=("frames",),
    models=("anatomy_segmenter",),
    config_type=AnatomyConfig,
    code_version="1",
    progress=ProgressSpan(60, 80, "Найдено {structures} структур"),
    contract=schemas.ANATOMY,
    kinds=frozenset({"parquet", "onnx"}),
    priority=40,
)
EVENTS = StageSpec(
    domain=DOMAIN,
    name="events",
    group="predictions",
    inputs=("frames", "phases", "instruments"),
    optional_inputs=("features", "anatomy"),
    config_type=EventsConfig,
    code_version="2",
    progress=ProgressSpan(80, 90, "Найдено {events} событий"),
    contract=schemas.EVENTS,
    kinds=frozenset({"parquet"}),
    priority=30,
)
REPORT = StageSpec(
    domain=DOMAIN,
    name="report",
    group="reports",
    inputs=("video", "frames"),
    optional_inputs=("features", "phases", "instruments", "anatomy", "events"),
    config_type=ReportConfig,
    code_version="2",
    progress=ProgressSpan(90, 100, "Готово!"),
    kinds=frozenset({"html", "pdf", "excel"}),
    priority=20,
)

SURGERY = Pipeline(
    domain=DOMAIN,
    stages=(VIDEO, FRAMES, FEATURES, PHASES, INSTRUMENTS, ANATOMY, EVENTS, REPORT),
    policies={"sampling": SAMPLING_POLICY_VERSION},
)
