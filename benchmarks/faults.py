"""What is done to a server in the middle of work, and how it is ended.

Belongs here: the faults. Does not belong here: when they come and what becomes of the work (``services``).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace

from benchmarks.scene import Scene
from commands.up_services import read_servers, start_one, start_servers

SLOW_S = 0.5
WRONG = "not-the-secret"
BLOCK_BYTES = 2**20

End = Callable[[], None]


def none(_: Scene) -> End:
    """Nothing: what the same work takes without a fault."""
    return lambda: None


def kill(scene: Scene) -> End:
    """End it with all its children, start it again afterwards."""
    scene.victim.kill()
    return lambda: start_servers(scene.stack)


def freeze(scene: Scene) -> End:
    """It keeps its connections and answers nothing."""
    scene.victim.freeze()
    return scene.victim.thaw


def empty(scene: Scene) -> End:
    """Killed, and started on nothing; MLflow keeps what it knows in a database."""
    scene.victim.kill()
    for entry in scene.victim.folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    if scene.victim is scene.stack.mlflow:
        scene.stack.postgres.drop("mlflow")
    return lambda: start_servers(scene.stack)


def slow(scene: Scene) -> End:
    """Every answer comes half a second late."""
    link = scene.stack.link
    link.delay_s = SLOW_S

    def end() -> None:
        link.delay_s = 0.0

    return end


def refuse(scene: Scene) -> End:
    """The secret that was right is wrong for a while."""
    if scene.victim is scene.stack.postgres:
        scene.stack.postgres.change_passwords(WRONG)
        return lambda: scene.stack.postgres.change_passwords(scene.stack.choices.database_password)
    store = scene.stack.store
    right = store.identities

    def start_with_wrong() -> None:
        record = read_servers(scene.stack)
        assert record is not None, "the servers of a scene have been started"
        start_one(scene.stack, store, record)

    def end() -> None:
        store.kill()
        store.identities = right
        start_servers(scene.stack)

    store.kill()
    store.identities = tuple(replace(who, secret_key=WRONG) for who in right)
    start_with_wrong()
    return end


def full(scene: Scene) -> End:
    """Its disk takes nothing more; what ended over it is started anew afterwards.

    Raises:
        SystemExit: only root can mount a small disk.
    """
    if os.geteuid() != 0:
        raise SystemExit("only root can mount a small disk")
    ballast = scene.victim.folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for block in (BLOCK_BYTES, 1):
            while _takes(file.write, b"\0" * block):
                pass

    def end() -> None:
        ballast.unlink()
        start_servers(scene.stack)

    return end


def _takes(write: Callable[[bytes], int | None], data: bytes) -> bool:
    try:
        return write(data) == len(data)
    except OSError:
        return False


FAULTS: dict[str, Callable[[Scene], End]] = {
    "none": none,
    "kill": kill,
    "freeze": freeze,
    "slow": slow,
    "refuse": refuse,
    "full": full,
    "empty": empty,
}
"""In the order in which one platform suffers them; the last loses what the others need."""
NOT_APPLICABLE = {
    ("triton", "refuse"): "it asks for no credentials here; a proxy before it would",
    ("mlflow", "refuse"): "it asks for no credentials here; a proxy before it would",
}
