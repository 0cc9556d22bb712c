"""Which of a video's stages would have to be computed again, and for what reason in the end.

Belongs here: comparing what stages would stand on now with what their stored results stood on, down the pipeline; the
results may come from records or from the index. Does not belong here: reading either (``resolve``,
``provenance_index``).

A result that stands on a stale one is stale through it, however it looks by itself: what it was made from is about to
change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from neurovision_assets.provenance import config_hash
from neurovision_assets.stage.spec import UPLOADS_ASSET, StageSpec
from neurovision_assets.staleness import Basis, Staleness, differences
from resources.inference.spec import ModelIdentity


@dataclass(frozen=True)
class StageQuestion:
    """What a stage would stand on now under one profile, whatever the video.

    Attributes:
        spec: the stage.
        reads: stages that it reads where they exist.
        reads_upload: whether it stands on the upload too.
        models: that it would use.
        without_inputs: the basis, its inputs left empty.
    """

    spec: StageSpec
    reads: tuple[str, ...]
    reads_upload: bool
    models: tuple[ModelIdentity, ...]
    without_inputs: Basis

    @cached_property
    def keys(self) -> Mapping[str, str]:
        """Asset key of each stage that it reads, by name."""
        return {name: self.spec.upstream(name) for name in self.reads}

    def basis(self, versions: Mapping[str, str], upload_version: str) -> Basis:
        """The whole basis; the arguments are those of :meth:`inputs`."""
        return self.without_inputs.model_copy(update={"inputs": self.inputs(versions, upload_version)})

    def inputs(self, versions: Mapping[str, str], upload_version: str) -> dict[str, str]:
        """What it would read, data version by asset key.

        Args:
            versions: data version of each input that exists, by stage name.
            upload_version: data version of the upload.
        """
        inputs = {self.keys[name]: version for name, version in versions.items()}
        if self.reads_upload:
            inputs[self.spec.upstream(UPLOADS_ASSET)] = upload_version
        return inputs


@dataclass(frozen=True)
class Stored:
    """A stored result, as far as staleness asks.

    Attributes:
        data_version: of its content.
        basis: what it stood on.
    """

    data_version: str
    basis: Basis


@dataclass(frozen=True, order=True)
class Root:
    """Where staleness began.

    Attributes:
        cause: code, model, input, config or missing.
        subject: what changed: an asset key, or ``name@version`` of the model that is served now.
    """

    cause: Staleness
    subject: str

    @property
    def told(self) -> str:
        """For people."""
        return f"{self.cause}: {self.subject}"


@dataclass(frozen=True)
class Verdict:
    """One stage's answer for one video.

    Attributes:
        state: up to date, or the nearest reason why not.
        roots: where that began, of this stage or upstream of it; empty where it is up to date.
    """

    state: Staleness
    roots: frozenset[Root] = frozenset()

    @property
    def is_up_to_date(self) -> bool:
        """Whether nothing would be computed."""
        return self.state is Staleness.UP_TO_DATE


UP_TO_DATE = Verdict(Staleness.UP_TO_DATE)


def judge(questions: Sequence[StageQuestion], upload_version: str, stored: Mapping[str, Stored]) -> dict[str, Verdict]:
    """Every enabled stage of one video.

    Args:
        questions: the enabled stages, upstream first.
        upload_version: data version of the upload.
        stored: results that exist, by stage name.

    Returns:
        Verdicts by stage name, upstream first.
    """
    verdicts: dict[str, Verdict] = {}
    for question in questions:
        versions = {name: stored[name].data_version for name in question.reads if name in stored}
        own = _own_roots(question, stored.get(question.spec.name), question.inputs(versions, upload_version))
        through = [verdicts[name].roots for name in question.reads if not verdicts[name].is_up_to_date]
        roots = frozenset(own).union(*through)
        if own:
            verdicts[question.spec.name] = Verdict(own[0].cause, roots)
        else:
            verdicts[question.spec.name] = Verdict(Staleness.INPUT, roots) if through else UP_TO_DATE
    return verdicts


def fingerprint_of(questions: Sequence[StageQuestion]) -> str:
    """What all stages of a profile would stand on, one text: two looks agree exactly when nothing has changed."""
    return config_hash([[q.spec.asset, q.reads, q.without_inputs.model_dump()] for q in questions])


def _own_roots(question: StageQuestion, stored: Stored | None, inputs: Mapping[str, str]) -> list[Root]:
    """Reasons that lie in the stage itself, the most upstream first."""
    if stored is None:
        return [Root(Staleness.MISSING, question.spec.asset)]
    return [
        Root(cause, subject)
        for cause in differences(stored.basis, question.without_inputs, inputs)
        for subject in _subjects(cause, question, stored.basis, inputs)
    ]


def _subjects(cause: Staleness, question: StageQuestion, then: Basis, inputs: Mapping[str, str]) -> list[str]:
    if cause is Staleness.MODEL:
        return [m.label for m in question.models if then.models.get(m.name) != m.digest] or [question.spec.asset]
    if cause is Staleness.INPUT:
        names = then.inputs.keys() | inputs.keys()
        return sorted(name for name in names if then.inputs.get(name) != inputs.get(name))
    return [question.spec.asset]
