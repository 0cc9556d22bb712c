"""A made-up past of many videos: what was computed when, on what, while code, models and profiles changed.

Belongs here: the past, and the index rows that it would have left. Does not belong here: what is stale in the end; the
tests' oracle reads it from the past itself, the platform from the rows.

Nothing is rendered or computed: a result is a record of what it was made from. Whatever changes in the past, the last
state of the world is the one that the given questions ask for.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from neurovision_assets.provenance_index import IndexedResult
from neurovision_assets.stage.judgement import StageQuestion, Stored

BEGAN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
EPOCHS = 8
STAYS_AS_IT_WAS = 0.7
"""Share of code versions, models and settings that never change."""
PROCESSED_AT_FIRST = 0.95
PROCESSED_LATER = 0.15
LOST_LATER = 0.01
SAME_CONTENT = 0.3
"""Share of new computations that give what was there before."""


@dataclass(frozen=True)
class Made:
    """A result, as the past knows it.

    Attributes:
        code: code version of the stage then.
        config: hash of its parameters then.
        models: digest by name then.
        inputs: content of each input that it read, by stage name.
        upload: data version of the upload then, None where the stage does not read it.
        content: data version of the result.
        started: when its computation began.
        seconds: how long it took.
    """

    code: str
    config: str
    models: Mapping[str, str]
    inputs: Mapping[str, str]
    upload: str | None
    content: str
    started: dt.datetime
    seconds: float


@dataclass
class History:
    """The past of some videos.

    Attributes:
        questions: what is asked in the end, by profile.
        videos: how many.
        seed: of everything that is drawn.
    """

    questions: Mapping[str, Sequence[StageQuestion]]
    videos: int
    seed: int
    made: dict[tuple[str, str], Made] = field(default_factory=dict)
    profiles: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)  # noqa: S311 - a made-up past
        self._timelines: dict[tuple[str, ...], list[str]] = {}
        for number in range(self.videos):
            video_id = f"operation_{number:05d}-{number:08x}"
            self.profiles[video_id] = self._rng.choice(sorted(self.questions))
            self.uploads[video_id] = self._at(("upload", video_id), f"{number:08x}+{0:016x}", EPOCHS - 1)
        for epoch in range(EPOCHS):
            for video_id in self.profiles:
                self._happen(video_id, epoch)

    def rows(self) -> Iterator[tuple[str, list[IndexedResult]]]:
        """The index rows that the past left, by video."""
        for video_id in self.profiles:
            found = [
                self._row(question, self.made[video_id, question.spec.name])
                for question in self._all_stages()
                if (video_id, question.spec.name) in self.made
            ]
            if found:
                yield video_id, found

    def with_uploads(self, versions: Mapping[str, str]) -> History:
        """The same past, the uploads' last versions under other names.

        Args:
            versions: the new name of each.
        """
        self.uploads = {video_id: versions[version] for video_id, version in self.uploads.items()}
        self.made = {
            key: replace(made, upload=versions.get(made.upload or "", made.upload)) for key, made in self.made.items()
        }
        return self

    def _happen(self, video_id: str, epoch: int) -> None:
        """What befalls a video in an epoch: nothing, a whole run, a run of some stages, a lost result."""
        share = PROCESSED_AT_FIRST if epoch == 0 else PROCESSED_LATER
        questions = self.questions[self._profile_at(video_id, epoch)]
        if self._rng.random() < share:
            is_whole = self._rng.random() < 0.5 or epoch == 0
            for question in questions:
                if is_whole or self._rng.random() < 0.5:
                    self._compute(video_id, question, epoch)
        if self._rng.random() < LOST_LATER:
            self.made.pop((video_id, self._rng.choice(questions).spec.name), None)

    def _compute(self, video_id: str, question: StageQuestion, epoch: int) -> None:
        name, now = question.spec.name, question.without_inputs
        if any((video_id, needed) not in self.made for needed in question.spec.inputs):
            return
        inputs = {read: self.made[video_id, read].content for read in question.reads if (video_id, read) in self.made}
        upload = self._at(("upload", video_id), self.uploads[video_id], epoch) if question.reads_upload else None
        config = self._at(("config", name, now.stage_config_hash), now.stage_config_hash, epoch)
        models = {model: self._at(("model", model), digest, epoch) for model, digest in now.models.items()}
        code = self._at(("code", name), now.code_version, epoch)
        before = self.made.get((video_id, name))
        kept = before is not None and self._rng.random() < SAME_CONTENT
        content = before.content if before and kept else _digest(video_id, name, code, config, models, inputs, upload)
        started = BEGAN + dt.timedelta(days=epoch, seconds=self._rng.random() * 3600)
        self.made[video_id, name] = Made(
            code, config, models, inputs, upload, content, started, self._rng.uniform(0.5, 60.0)
        )

    def _profile_at(self, video_id: str, epoch: int) -> str:
        """Some videos had another profile before."""
        return self._at(("profile", video_id), self.profiles[video_id], epoch, others=sorted(self.questions))

    def _at(self, key: tuple[str, ...], last: str, epoch: int, others: Sequence[str] = ()) -> str:
        """What a thing was in an epoch; in the last one it is what is asked for."""
        if key not in self._timelines:
            values = [last] * EPOCHS
            if self._rng.random() > STAYS_AS_IT_WAS:
                first = self._rng.randrange(EPOCHS - 1)
                until = self._rng.randrange(first + 1, EPOCHS)
                other = self._rng.choice(others) if others else f"{last[:24]}~{self._rng.randrange(3)}"
                values[first:until] = [other] * (until - first)  # from the start: it was raised; later: rolled back
            self._timelines[key] = values
        return self._timelines[key][epoch]

    def _all_stages(self) -> list[StageQuestion]:
        """Every stage that some profile has, once."""
        found: dict[str, StageQuestion] = {}
        for questions in self.questions.values():
            for question in questions:
                found.setdefault(question.spec.name, question)
        return list(found.values())

    def _row(self, question: StageQuestion, made: Made) -> IndexedResult:
        inputs = {question.spec.upstream(name): content for name, content in made.inputs.items()}
        if made.upload is not None:
            inputs[question.spec.upstream("uploads")] = made.upload
        basis = question.without_inputs.model_copy(
            update={
                "code_version": made.code,
                "stage_config_hash": made.config,
                "models": dict(made.models),
                "inputs": inputs,
            }
        )
        return IndexedResult(question.spec.asset, Stored(made.content, basis), made.started, made.seconds)


def _digest(*ingredients: object) -> str:
    return hashlib.sha256(repr(ingredients).encode()).hexdigest()
