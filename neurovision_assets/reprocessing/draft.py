"""From index rows to what a plan would run: which pairs, why, and how long it takes.

Belongs here: pure functions over rows, no database, no Dagster. Does not belong here: the comparison of one video
(``stage.judgement``), keeping plans (``plans``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median

from pydantic import BaseModel, ConfigDict

from neurovision_assets.provenance_index import IndexedResult
from neurovision_assets.reprocessing.present import Present
from neurovision_assets.stage.judgement import Root, Verdict, judge

IN_FLIGHT = "being processed now"


@dataclass(frozen=True)
class PlanItem:
    """One pair of a plan.

    Attributes:
        video_id: the partition.
        asset: asset key.
        cause: the nearest reason.
        because: where the staleness began, for people.
    """

    video_id: str
    asset: str
    cause: str
    because: str


class Summary(BaseModel):
    """What a plan would do, in figures.

    Attributes:
        videos: how many.
        pairs: how many (asset, video_id).
        by_cause: pairs by their nearest reason.
        by_root: pairs by where their staleness began; a pair with two roots counts under both.
        by_asset: pairs by asset.
        computing_s: how long the computation took the last time, stages that ran side by side counted once.
        unmeasured: pairs of stages that have never been measured, by asset; they are not in ``computing_s``.
        left_out: videos that are not planned, by reason.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    videos: int
    pairs: int
    by_cause: dict[str, int]
    by_root: dict[str, int]
    by_asset: dict[str, int]
    computing_s: float
    unmeasured: dict[str, int]
    left_out: dict[str, int]


@dataclass(frozen=True)
class Draft:
    """A plan before anybody has seen it.

    Attributes:
        items: pairs, video by video, upstream first.
        standards: what results would stand on, a fingerprint a profile.
        summary: in figures.
    """

    items: tuple[PlanItem, ...]
    standards: dict[str, str]
    summary: Summary


def draw_up(
    present: Present, results: Iterable[tuple[str, Sequence[IndexedResult]]], in_flight: Collection[str] = ()
) -> Draft:
    """Every stale pair of every video that can be judged.

    Args:
        present: what results are compared with.
        results: index rows by video; rows of videos that are gone are passed over.
        in_flight: videos that a run works on or waits for; what is stale there is about to be computed anyway.
    """
    items: list[PlanItem] = []
    roots: Counter[Root] = Counter()
    clock = _Clock()
    waiting = set(present.uploads)
    profiles = set()
    busy = 0
    for video_id, found in _all_videos(results, waiting):
        profile = present.profile_of(video_id)
        if profile not in present.questions:
            continue
        questions = present.questions[profile]
        clock.learn(found)
        names = {question.spec.asset: question.spec.name for question in questions}
        stored = {names[result.asset]: result.stored for result in found if result.asset in names}
        verdicts = judge(questions, present.uploads[video_id].version, stored)
        stale = {q.spec.asset: verdicts[q.spec.name] for q in questions if not verdicts[q.spec.name].is_up_to_date}
        if stale and video_id in in_flight:
            busy += 1
        elif stale:
            profiles.add(profile)
            items += [_item(video_id, asset, verdict) for asset, verdict in stale.items()]
            roots.update(root for verdict in stale.values() for root in verdict.roots)
            clock.add(stale, found)
    left_out = {**present.unjudged, **({IN_FLIGHT: busy} if busy else {})}
    return Draft(tuple(items), present.standards(profiles), _summary(items, roots, clock, left_out))


def _all_videos(
    results: Iterable[tuple[str, Sequence[IndexedResult]]], known: set[str]
) -> Iterable[tuple[str, Sequence[IndexedResult]]]:
    """Videos with rows as they come, then those that have none."""
    rest = set(known)
    for video_id, found in results:
        if video_id in known:
            rest.discard(video_id)
            yield video_id, found
    yield from ((video_id, ()) for video_id in sorted(rest))


def _item(video_id: str, asset: str, verdict: Verdict) -> PlanItem:
    return PlanItem(video_id, asset, verdict.state.value, _because(verdict.roots))


@lru_cache(maxsize=4096)
def _because(roots: frozenset[Root]) -> str:
    """In words; of thousands of pairs most have the same roots."""
    return "; ".join(root.told for root in sorted(roots))


def _summary(items: Sequence[PlanItem], roots: Counter[Root], clock: _Clock, left_out: dict[str, int]) -> Summary:
    computing_s, unmeasured = clock.told()
    return Summary(
        videos=len({item.video_id for item in items}),
        pairs=len(items),
        by_cause=dict(Counter(item.cause for item in items)),
        by_root={root.told: count for root, count in roots.most_common()},
        by_asset=dict(Counter(item.asset for item in items)),
        computing_s=round(computing_s, 1),
        unmeasured=unmeasured,
        left_out=left_out,
    )


def in_words(seconds: float) -> str:
    """A duration as people read it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


class _Clock:
    """How long computing again takes, from how long it took before.

    A stage's own last time counts, the median of other videos where it has none. Stages of one run lie side by side:
    of a video's spans, what they cover is counted.
    """

    def __init__(self) -> None:
        self._durations: defaultdict[str, list[float]] = defaultdict(list)
        self._covered_s = 0.0
        self._never_run: Counter[str] = Counter()

    def learn(self, results: Iterable[IndexedResult]) -> None:
        for result in results:
            self._durations[result.asset].append(result.duration_s)

    def add(self, assets: Collection[str], results: Iterable[IndexedResult]) -> None:
        measured = {result.asset: result for result in results if result.asset in assets}
        until_s = float("-inf")
        for start_s, length_s in sorted((r.started.timestamp(), r.duration_s) for r in measured.values()):
            self._covered_s += max(0.0, start_s + length_s - max(start_s, until_s))
            until_s = max(until_s, start_s + length_s)
        self._never_run.update(asset for asset in assets if asset not in measured)

    def told(self) -> tuple[float, dict[str, int]]:
        """Seconds, and pairs of stages that nobody has measured."""
        guessed_s = sum(
            count * median(self._durations[asset])
            for asset, count in self._never_run.items()
            if asset in self._durations
        )
        unmeasured = {asset: count for asset, count in self._never_run.items() if asset not in self._durations}
        return self._covered_s + guessed_s, unmeasured
