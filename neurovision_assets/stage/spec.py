"""What a stage declares about itself.

Belongs here: the declaration and the name grammar of assets. Does not belong here: running (``runner``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from neurovision_assets.tables import TableContract

PIPELINE_OWNER = "team:neurovision"
CONTRACT_CHECK = "contract"
COMPLETE_CHECK = "complete"
UPLOADS_ASSET = "uploads"
REGISTRY = "registry"


@dataclass(frozen=True)
class ProgressSpan:
    """A stage's share of the whole and its last message (NV-125…131).

    Attributes:
        start_percent: where the stage begins.
        end_percent: where it ends.
        message: last message; names of counts in braces are filled in.
    """

    start_percent: float
    end_percent: float
    message: str


@dataclass(frozen=True)
class StageSpec:
    """One stage of a domain.

    Attributes:
        domain: first part of the asset key, ``surgery``.
        name: last part of the asset key and name in profiles, ``phases``.
        group: group in the UI.
        inputs: stages that it reads.
        optional_inputs: stages that it reads where they exist.
        models: registry assets upstream of it, by the model's default name.
        config_type: its configuration class.
        code_version: raised whenever its results may change.
        contract: the main table's contract, None for stages that make documents.
        progress: its share of the whole.
        kinds: for the UI.
        priority: order among stages that could run at the same time, greater first.
        run_time_s: from the facts that this stage found out, how long a run may take for the video; None where it
            tells nothing about that.
    """

    domain: str
    name: str
    group: str
    inputs: tuple[str, ...]
    config_type: type[BaseModel]
    code_version: str
    progress: ProgressSpan
    optional_inputs: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    contract: TableContract | None = None
    kinds: frozenset[str] = frozenset()
    priority: int = 0
    run_time_s: Callable[[Mapping[str, Any]], float] | None = None

    @property
    def asset(self) -> str:
        """Asset key as text, ``surgery/phases``."""
        return f"{self.domain}/{self.name}"

    @property
    def schema_version(self) -> int:
        """Version of the main table's contract, 1 for documents."""
        return self.contract.version if self.contract else 1

    def upstream(self, name: str) -> str:
        """Asset key of an input."""
        return f"{self.domain}/{name}"

    @property
    def upstream_assets(self) -> dict[str, bool]:
        """Asset keys upstream in the graph, and whether each is partitioned by video as this stage is."""
        stages = {self.upstream(name): True for name in (*self.inputs, *self.optional_inputs)}
        models = {f"{REGISTRY}/{name}": False for name in self.models}
        return {**(stages or {self.upstream(UPLOADS_ASSET): False}), **models}
