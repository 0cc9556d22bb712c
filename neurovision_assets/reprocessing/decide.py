"""What a request comes to for one video: stages to run, or the reason why none.

Belongs here: pure functions. Does not belong here: reading what they decide upon, starting runs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from neurovision_assets.stage.judgement import StageQuestion, Verdict
from neurovision_assets.stage.runner import FORCE_ALL


@dataclass(frozen=True)
class Launch:
    """Run these.

    Attributes:
        stages: names, upstream first.
        force: value of the run's force tag, empty where only what is stale is computed.
    """

    stages: tuple[str, ...]
    force: str = ""


@dataclass(frozen=True)
class NoRun:
    """Run nothing.

    Attributes:
        why: for the requester.
        is_refusal: whether the request cannot be met; otherwise there is nothing to do.
    """

    why: str
    is_refusal: bool


def persons_request(
    asked: Sequence[str],
    *,
    only_stale: bool,
    questions: Sequence[StageQuestion],
    verdicts: Mapping[str, Verdict],
    known: Collection[str],
) -> Launch | NoRun:
    """A person's request for one video.

    The stages that were asked for are computed again, with those upstream that are not up to date (they could not be
    read else, or would be about to change) and all that stands on them: a report that no longer fits its phases would
    be false. What stands on them is computed only where it is stale after that.

    Args:
        asked: names of stages; all without any.
        only_stale: leave what is up to date as it is.
        questions: the stages that the video's profile switches on.
        verdicts: by stage name.
        known: names of all stages.
    """
    unknown = [name for name in asked if name not in known]
    if unknown:
        return NoRun(f"There is no stage {', '.join(unknown)}. Stages are {', '.join(known)}.", is_refusal=True)
    core = {question.spec.name for question in questions if not asked or question.spec.name in asked}
    if not core:
        return NoRun(f"The video's profile switches {', '.join(asked)} off.", is_refusal=False)
    if only_stale:
        core = {name for name in core if not verdicts[name].is_up_to_date}
        if not core:
            return NoRun("Everything that was asked for is up to date.", is_refusal=False)
    needed = {name for name in _upstream(core, questions) if not verdicts[name].is_up_to_date}
    touched = _downstream(core, questions)
    chosen = tuple(q.spec.name for q in questions if q.spec.name in core | needed | touched)
    if only_stale:
        return Launch(chosen)
    is_all = core == set(chosen)
    return Launch(chosen, FORCE_ALL if is_all else ",".join(name for name in chosen if name in core))


def planned(
    pairs: Collection[str], questions: Sequence[StageQuestion], verdicts: Mapping[str, Verdict]
) -> Launch | NoRun:
    """A plan's pairs for one video: never one more, and those that are up to date by now are left out.

    Args:
        pairs: asset keys that were approved.
        questions: the stages that the video's profile switches on.
        verdicts: by stage name.
    """
    chosen = tuple(q.spec.name for q in questions if q.spec.asset in pairs and not verdicts[q.spec.name].is_up_to_date)
    return Launch(chosen) if chosen else NoRun("It is up to date by now.", is_refusal=False)


def _upstream(names: Collection[str], questions: Sequence[StageQuestion]) -> set[str]:
    found = set(names)
    for question in reversed(questions):
        if question.spec.name in found:
            found.update(question.reads)
    return found


def _downstream(names: Collection[str], questions: Sequence[StageQuestion]) -> set[str]:
    found = set(names)
    for question in questions:
        if found.intersection(question.reads):
            found.add(question.spec.name)
    return found
