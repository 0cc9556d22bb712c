"""How often a week without drift raises an alarm, and what it takes to raise one with: ``python -m benchmarks.drift``.

Weeks and references are drawn from the bundled references: figures keep their distributions and hang together as there
(a Gaussian copula of their ranks; values between two operations' are interpolated). The written formula, 1 − p of a KS
test with an alarm above 0.3, is counted beside it. ``--models FOLDER`` takes other references than the bundled ones.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.measure import REPOSITORY, machine
from neurovision_assets.drift.compare import calculate_drift
from neurovision_assets.drift.config import ALARM_SCORE, DriftConfig
from neurovision_assets.drift.figures import SHARE, STAGES_OF, Row
from neurovision_assets.drift.reference import DriftReference, reference_path

WEEKS = 400
REFERENCES = 20
OPERATIONS = 30
SIZES = (5, 10, 20, 40)
QUICK = DriftConfig(resamples=1999)
"""Fewer permutations than by default: the test stays exact, only its smallest chance is larger."""
SEED = 0
FRAMES = 300
BETWEEN_VIDEOS = 0.3
"""Share of a figure's variance between videos, and in the last simulation between hospitals."""
HOSPITALS = 5

Values = npt.NDArray[np.float64]
Shift = Callable[[Row], Row]


@dataclass(frozen=True)
class Population:
    """Where operations are drawn from: all figures of all models in one table.

    Attributes:
        names: model and figure of each column.
        sorted: [operations, figures], each column in order.
        root: [figures, figures], square root of the correlation of the columns' ranks.
    """

    names: tuple[tuple[str, str], ...]
    sorted: Values
    root: Values

    @classmethod
    def of(cls, references: Mapping[str, DriftReference]) -> Population:
        """The one that references' operations are a sample of; they must name the same operations."""
        from scipy import stats

        operations = list(next(iter(references.values())).operations)
        names = tuple(
            (model, name)
            for model, one in references.items()
            for name in sorted({name for row in one.operations.values() for name in row})
        )
        table = np.array(
            [[references[model].operations[each].get(name, 0.0) for model, name in names] for each in operations]
        )
        scores = stats.norm.ppf(stats.rankdata(table, axis=0) / (len(table) + 1))
        scores = (scores - scores.mean(axis=0)) / np.maximum(scores.std(axis=0), 1e-9)
        strengths, ways = np.linalg.eigh(scores.T @ scores / len(table))
        return cls(names, np.sort(table, axis=0), ways * np.sqrt(np.maximum(strengths, 0)))

    def draw(self, rng: np.random.Generator, count: int, *, common: float = 0.0, place: Values | None = None) -> Values:
        """Figures [count, figures] of new operations.

        Args:
            rng: decides everything.
            count: how many.
            common: share of the variance that operations of one place have in common.
            place: normal scores [figures] of that place.
        """
        from scipy import stats

        own = rng.normal(size=(count, self.root.shape[1])) @ self.root.T
        if place is not None:
            own = np.sqrt(1 - common) * own + np.sqrt(common) * place
        levels = stats.norm.cdf(own) * (len(self.sorted) - 1)
        below = np.minimum(levels.astype(int), len(self.sorted) - 2)
        columns = np.arange(len(self.names))
        low, high = self.sorted[below, columns], self.sorted[below + 1, columns]
        return np.asarray(low + (levels - below) * (high - low))

    def place(self, rng: np.random.Generator) -> Values:
        """Normal scores of one hospital."""
        return np.asarray(rng.normal(size=self.root.shape[1]) @ self.root.T)

    def rows(self, values: Values) -> dict[str, list[Row]]:
        """Rows by model."""
        found: dict[str, list[Row]] = {model: [] for model in STAGES_OF}
        for row in values:
            each: dict[str, Row] = {model: {} for model in STAGES_OF}
            for (model, name), value in zip(self.names, row, strict=True):
                each[model][name] = float(value)
            for model, one in each.items():
                found[model].append(one)
        return found


def alarms(reference: Mapping[str, Sequence[Row]], week: Mapping[str, Sequence[Row]], config: DriftConfig) -> list[str]:
    """Models that the week raises an alarm for."""
    return [
        model
        for model in STAGES_OF
        if calculate_drift(reference[model], week[model], tests=len(STAGES_OF), config=config)[0].score > ALARM_SCORE
    ]


def interval(hits: int, of: int) -> str:
    """A share and its exact 95 % interval (Clopper and Pearson)."""
    from scipy import stats

    bounds = stats.binomtest(hits, of).proportion_ci(method="exact")
    return f"{100 * hits / of:.1f} % ({100 * bounds.low:.1f} to {100 * bounds.high:.1f}, {hits} of {of})"


def false_alarms(population: Population, weeks: int) -> None:
    """Every week with a reference of its own: what the rate promises."""
    rng = np.random.default_rng(SEED)
    print(f"\nweeks without drift, {OPERATIONS} operations in each reference, all models together:")
    for size in SIZES:
        hits = 0
        for _ in range(weeks):
            reference, week = (population.rows(population.draw(rng, count)) for count in (OPERATIONS, size))
            hits += bool(alarms(reference, week, QUICK))
        print(f"  {size} videos: {interval(hits, weeks)}", flush=True)


def one_reference(population: Population, weeks: int) -> None:
    """Many weeks against one reference, as a deployment has it: some references are less lucky than others."""
    rng, size, each = np.random.default_rng(SEED + 1), 10, max(1, weeks // REFERENCES)
    rates = []
    for _ in range(REFERENCES):
        reference = population.rows(population.draw(rng, OPERATIONS))
        found = [alarms(reference, population.rows(population.draw(rng, size)), QUICK) for _ in range(each)]
        rates.append(float(np.mean([bool(one) for one in found])))
    told = ", ".join(f"{100 * np.quantile(rates, share):.1f}" for share in (0.5, 0.9, 1.0))
    print(f"\n{REFERENCES} references, {each} weeks of {size} videos each: median, 90 % and highest rate {told} %")


def dominated(population: Population, weeks: int) -> None:
    """A week of one hospital, against a reference of several: no false alarm, the week is another mixture."""
    rng, size, hits = np.random.default_rng(SEED + 2), 10, 0
    for _ in range(weeks):
        places = [population.place(rng) for _ in range(HOSPITALS)]
        each = [population.draw(rng, OPERATIONS // HOSPITALS, common=BETWEEN_VIDEOS, place=place) for place in places]
        week = population.draw(rng, size, common=BETWEEN_VIDEOS, place=places[int(rng.integers(HOSPITALS))])
        hits += bool(alarms(population.rows(np.concatenate(each)), population.rows(week), QUICK))
    print(
        f"\na week of {size} videos from one of {HOSPITALS} hospitals, which make {100 * BETWEEN_VIDEOS:.0f} % of the "
        f"variance: {interval(hits, weeks)}"
    )


def written_formula(population: Population, weeks: int) -> None:
    """1 − p of a two-sample KS test (NV-148), alarm above 0.3."""
    from scipy import stats

    rng, size = np.random.default_rng(SEED + 3), 10
    one = any_one = frames = 0
    for _ in range(weeks):
        reference, week = population.draw(rng, OPERATIONS), population.draw(rng, size)
        over = [1 - stats.ks_2samp(reference[:, at], week[:, at]).pvalue > ALARM_SCORE for at in range(week.shape[1])]
        one, any_one = one + over[int(rng.integers(len(over)))], any_one + any(over)
        known, now = (_frames(rng, count) for count in (OPERATIONS, size))
        frames += 1 - stats.ks_2samp(known, now).pvalue > ALARM_SCORE
    print(f"\nthe written formula on weeks of {size} videos without drift:")
    print(f"  one figure a video: {interval(one, weeks)}; any of {len(population.names)}: {interval(any_one, weeks)}")
    share = f"{100 * BETWEEN_VIDEOS:.0f} % of the variance between videos"
    print(f"  one figure a frame, {FRAMES} frames a video, {share}: {interval(frames, weeks)}")


def _frames(rng: np.random.Generator, videos: int) -> Values:
    video = np.sqrt(BETWEEN_VIDEOS) * rng.normal(size=(videos, 1))
    return np.asarray((video + np.sqrt(1 - BETWEEN_VIDEOS) * rng.normal(size=(videos, FRAMES))).ravel())


def learned_from(references: Mapping[str, DriftReference], learned: Mapping[str, DriftReference], weeks: int) -> None:
    """Weeks of operations that are new to the models, against operations that they learned from."""
    rng, size, hits = np.random.default_rng(SEED + 5), 10, 0
    new = {model: list(one.operations.values()) for model, one in references.items()}
    known = {model: list(one.operations.values()) for model, one in learned.items()}
    operations = min(len(rows) for rows in new.values())
    for _ in range(weeks):
        chosen = rng.choice(operations, size=size, replace=False)
        hits += bool(alarms(known, {model: [rows[at] for at in chosen] for model, rows in new.items()}, QUICK))
    print(f"\nweeks of {size} held-out operations against those that the models learned from: {interval(hits, weeks)}")


def power(population: Population, weeks: int) -> None:
    """Weeks that have drifted, by figures' deviations over the operations."""
    print("\nweeks that have drifted: share that raises an alarm, by videos of the week")
    deviation = np.maximum(population.sorted.std(axis=0), 1e-12)
    for told, chosen, size in SHIFTS:
        by = np.array([chosen(name) for _, name in population.names]) * deviation
        rng, found = np.random.default_rng(SEED + 4), []
        for videos in SIZES[:3]:
            hits = 0
            for _ in range(weeks):
                reference = population.rows(population.draw(rng, OPERATIONS))
                drifted = np.maximum(population.draw(rng, videos) + size * by, 0.0 if "share" in told else -np.inf)
                hits += bool(alarms(reference, population.rows(drifted), QUICK))
            found.append(f"{videos}: {100 * hits / weeks:.0f} %")
        print(f"  {told}: {', '.join(found)}", flush=True)


def _of(*parts: str) -> Callable[[str], float]:
    return lambda name: float(any(part in name for part in parts))


SHIFTS: tuple[tuple[str, Callable[[str], float], float], ...] = (
    ("one figure by 1 deviation", lambda name: float(name == "instrument_score/mean"), -1.0),
    ("one figure by 2 deviations", lambda name: float(name == "instrument_score/mean"), -2.0),
    ("all models 1 deviation less sure", _of("confidence", "instrument_score"), -1.0),
    ("appearance and novelty by 1 deviation", _of("appearance", "novelty"), 1.0),
    ("appearance and novelty by 2 deviations", _of("appearance", "novelty"), 2.0),
    ("another mixture: every class's share 1 deviation higher", _of(SHARE), 1.0),
)


def main(arguments: Sequence[str] = ()) -> None:
    """Print rates and power."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description="Simulate weeks.")
    parser.add_argument("--models", type=Path, default=REPOSITORY / "models", help="folder with the references")
    parser.add_argument("--learned", type=Path, help="folder with references of the operations that were learned from")
    parser.add_argument("--weeks", type=int, default=WEEKS)
    parser.add_argument("--only", choices=PARTS, help="one part")
    chosen = parser.parse_args(arguments)
    references = _read(chosen.models)
    if references is None:
        print(f"drift: not measured, {chosen.models} has no references; python -m commands.drift_reference makes them")
        return
    if chosen.learned and (learned := _read(chosen.learned)):
        learned_from(references, learned, chosen.weeks)
        return
    population = Population.of(references)
    print(f"drift, {len(population.sorted)} operations, {len(population.names)} figures ({machine()})")
    for name, part in PARTS.items():
        if chosen.only in (None, name):
            part(population, chosen.weeks)


def _read(folder: Path) -> dict[str, DriftReference] | None:
    paths = {model: reference_path(folder, model, 1) for model in STAGES_OF}
    if not all(path.is_file() for path in paths.values()):
        return None
    return {model: DriftReference.model_validate_json(path.read_bytes()) for model, path in paths.items()}


PARTS = {
    "false_alarms": false_alarms,
    "one_reference": one_reference,
    "dominated": dominated,
    "written_formula": written_formula,
    "power": lambda population, weeks: power(population, max(1, weeks // 4)),
}


if __name__ == "__main__":
    main(sys.argv[1:])
