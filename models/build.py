"""Rebuilds the default models from nothing: `python -m models.build`, which is `make models`.

Belongs here: the command line, seeds, the order of the models. Does not belong here: how one is made (`recipes.py`).

A build that was interrupted goes on when the same command is given again: what was rendered is there, and so are the
trainings' checkpoints, in the work folder. It ends with the same weights.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from models.cards import write_scores
from models.checkpoints import Checkpoint
from models.contracts import EXTRACTOR, NAMES, SEGMENTER
from models.data import load_operations, renderings_digest
from models.evaluate import scores_of
from models.loop import Watch
from models.real_clips import clips_of, score_clips
from models.recipes import RECIPES, Material

REPOSITORY: Final = Path(__file__).resolve().parent
DEFAULT_WORK: Final = REPOSITORY.parent / "data" / "models-build"
_SEED_STRIDE: Final = 100_000
"""Seeds of two builds, and of the three sets of one build, never meet."""
_SET_STRIDE: Final = 10_000
_SMALLEST_SET: Final = 2

log = logging.getLogger("models.build")


def main(arguments: Sequence[str] | None = None) -> None:
    """Render, train, export and score in the work folder; what is complete then replaces the models in one go."""
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    for chatter in ("onnxscript", "onnx_ir"):
        logging.getLogger(chatter).setLevel(logging.WARNING)
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.use_deterministic_algorithms(True)
    names = _chosen(options.only)
    repository = _copied(options.work / "repository")
    training, validation, test = seeds_of(options.seed, options.operations)
    checkpoints: dict[str, Checkpoint] = {}
    if not options.keep_weights:
        checkpoints = checkpoints_of(options.work, names, identity_of(options.seed, options.operations))
        _train(checkpoints, _material(options, repository, training, validation))
    operations = load_operations(options.work, test)
    scores: dict[str, dict[str, Any]] = {}
    for name in names:
        scores[name] = {"unseen_simulated_operations": scores_of(name, repository, operations)}
        log.info("%s: %s", name, scores[name])
    if options.clips:
        for name, figures in score_clips(repository, options.clips, names).items():
            scores[name]["real_clips"] = figures
    else:
        log.warning("no --clips: the cards will say nothing of real pictures")
    for name in names:
        write_scores(repository / name, scores[name])
    for name in names:
        shutil.copytree(repository / name, options.into / name, dirs_exist_ok=True)
    for checkpoint in checkpoints.values():
        checkpoint.remove()


def _copied(folder: Path) -> Path:
    """Give a fresh copy of the models' files without their code: a build that ends early leaves the models alone."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in NAMES:
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return folder


def seeds_of(build_seed: int, operations: int) -> tuple[range, range, range]:
    """Give the seeds of the training, validation and test operations; no two sets share one."""
    start = build_seed * _SEED_STRIDE
    sizes = (operations, max(_SMALLEST_SET, operations // 4), max(_SMALLEST_SET, operations // 2))
    first, second, third = (
        range(start + place * _SET_STRIDE, start + place * _SET_STRIDE + size)
        for place, size in enumerate(sizes, start=1)
    )
    return first, second, third


def checkpoints_of(work: Path, names: Sequence[str], identity: str) -> dict[str, Checkpoint]:
    """Give each model's file from which its training goes on; one of another identity is not read."""
    return {name: Checkpoint(work / "checkpoints" / f"{name}.npz", identity) for name in names}


def identity_of(seed: int, operations: int) -> str:
    """Give the SHA-256 of what decides a build's weights: what was asked for, the sources, PyTorch."""
    import torch

    sources = hashlib.sha256()
    for path in sorted(REPOSITORY.rglob("*.py")):
        sources.update(path.name.encode() + b"\0" + path.read_bytes())
    facts = (seed, operations, sources.hexdigest(), renderings_digest(), torch.__version__)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _train(checkpoints: Mapping[str, Checkpoint], material: Material) -> None:
    for name, checkpoint in checkpoints.items():
        started = time.monotonic()
        log.info("%s: training", name)
        RECIPES[name](replace(material, watch=replace(material.watch, checkpoint=checkpoint)))
        log.info("%s: %.0f s", name, time.monotonic() - started)


def _material(options: argparse.Namespace, repository: Path, training: range, validation: range) -> Material:
    started = time.monotonic()
    learnt, checked = (load_operations(options.work, seeds) for seeds in (training, validation))
    frames = sum(len(one) for one in (*learnt, *checked))
    log.info("%d frames of simulated operations: %.0f s", frames, time.monotonic() - started)
    watch = Watch(told=lambda epoch: log.info("%s", epoch))
    return Material(repository, learnt, checked, options.seed, log.info, watch=watch)


def _chosen(only: str | None) -> tuple[str, ...]:
    if only is None:
        return tuple(RECIPES)
    return (EXTRACTOR, SEGMENTER) if only == EXTRACTOR else (only,)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line's arguments; what is wrong with them is said now, not after an hour of training."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not 1 <= options.operations <= _SET_STRIDE:
        parser.error(f"{options.operations} operations: give 1 to {_SET_STRIDE}")
    if options.seed < 0:
        parser.error(f"the seed is {options.seed}: give 0 or more")
    if options.clips:
        try:
            for _ in clips_of(options.clips):
                pass
        except (ValueError, OSError) as error:
            parser.error(str(error))
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.build", description="Rebuild the default models.")
    parser.add_argument("--work", type=Path, default=DEFAULT_WORK, help="folder for rendered operations")
    parser.add_argument("--operations", type=int, default=40, help="operations to train on; half as many test")
    parser.add_argument("--keep-weights", action="store_true", help="train nothing, score the present weights again")
    parser.add_argument(
        "--only", choices=NAMES, help="one model; the feature extractor takes the phase segmenter along"
    )
    parser.add_argument("--seed", type=int, default=0, help="decides operations, weights and augmentation")
    parser.add_argument("--into", type=Path, default=REPOSITORY, help="folder of models that the new ones replace")
    parser.add_argument("--clips", type=Path, help="folder of real clips with labels, for honest figures on the cards")
    return parser


if __name__ == "__main__":
    main()
