"""One look at ``incoming/`` with all that follows from it, but for Dagster.

Belongs here: listing, reading sidecars, acting on the decisions, a file's trouble kept to that file. Does not belong
here: the decisions (``listing``), run requests and events (``sensors.uploads``).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime

from neurovision_assets.uploads.decisions import Accept, Refuse, Waiting
from neurovision_assets.uploads.listing import Sidecars, decide
from neurovision_assets.uploads.names import INCOMING, SIDECAR_ENDING, without_names
from neurovision_assets.uploads.record import UploadRecord
from neurovision_assets.uploads.refusal import refuse
from neurovision_assets.uploads.registration import register
from neurovision_assets.uploads.sidecar import SIDECAR_MAX_BYTES, RefusedUpload, Sidecar, parse_sidecar
from neurovision_assets.uploads.watch import WATCHED_MAX, IncomingState, WatchedFile, token_of, watch
from resources.errors import NeuroVisionError, PermanentFailure
from resources.object_store import ObjectInfo, ObjectStore
from resources.settings import Settings

REMIND_AFTER_S = 3600.0


@dataclass(frozen=True)
class RefusedFiles:
    """An upload that went to ``rejected/``.

    Attributes:
        upload_id: what it is called where names must not stand.
        reason: what is wrong and what to do.
        files: how many files.
    """

    upload_id: str
    reason: str
    files: int


@dataclass
class Outcome:
    """What came of a look.

    Attributes:
        state: for the next look.
        registered: uploads with a record, each to be given to a run.
        refused: uploads that went to ``rejected/``.
        notes: what a person may want to know, without names.
    """

    state: IncomingState
    registered: list[UploadRecord] = field(default_factory=list)
    refused: list[RefusedFiles] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def look(
    store: ObjectStore,
    settings: Settings,
    state: IncomingState,
    *,
    known: Collection[str],
    profiles: Collection[str],
    now_s: float,
) -> Outcome:
    """Look into ``incoming/``: register what is complete, refuse what cannot be taken, leave the rest.

    Args:
        store: where ``incoming/`` is.
        settings: waits, limits, uploads a tick.
        state: of the last look.
        known: every video_id there is.
        profiles: names of the analysis profiles that can be asked for.
        now_s: seconds since 1970.

    Raises:
        TransientFailure: the folder could not be listed; nothing was done. Trouble with one upload is a note.
    """
    listing = store.list_folder(INCOMING)
    # A bucket shows an upload, in one piece or in many, only when it is complete.
    settle_s = settings.upload_settle_s if store.is_folder else None
    files, watched = watch(listing, state, now_s, settle_s)
    outcome = Outcome(state=watched)
    infos = {info.key: info for info in listing}
    sidecars, unreadable = _read_sidecars(store, files, outcome)
    decisions = decide(files, sidecars, now_s, settings, profiles)
    due = [decision for decision in decisions if not isinstance(decision, Waiting)][: settings.uploads_per_tick]
    known_now = set(known)
    postponed = [*unreadable]
    for decision in due:
        upload_id = token_of(infos[decision.keys[0]])
        try:
            with without_names(f"upload {upload_id}"):
                _act(store, settings, decision, known_now, outcome, upload_id)
        except NeuroVisionError as error:
            outcome.notes.append(f"{error} It is tried again later.")
            postponed += decision.keys
    waiting = [decision for decision in decisions if isinstance(decision, Waiting)]
    outcome.notes += _reminders(waiting, infos, state.looked_s, now_s)
    taken = {key for record in outcome.registered for key in _incoming_keys(record)}
    outcome.state = watched.with_taken(token_of(infos[key]) for key in taken if key in infos).with_postponed(
        token_of(infos[key]) for key in postponed
    )
    return outcome


def _act(
    store: ObjectStore, settings: Settings, decision: Accept | Refuse, known: set[str], outcome: Outcome, upload_id: str
) -> None:
    reason = decision.reason if isinstance(decision, Refuse) else None
    if isinstance(decision, Accept):
        if len(outcome.state.taken) + len(outcome.registered) >= WATCHED_MAX:
            outcome.notes.append(f"{WATCHED_MAX} uploads wait for their runs; further ones stay in incoming/.")
            return
        try:
            record = register(store, settings, decision, known, datetime.now(UTC))
        except PermanentFailure as error:  # trying again would fail again, for ever
            reason = f"{error.problem} {error.remedy}"
        else:
            known.add(record.video_id)
            outcome.registered.append(record)
    if reason is not None:
        moved = refuse(store, decision.keys, reason, upload_id)
        if moved:
            outcome.refused.append(RefusedFiles(upload_id, reason, len(moved)))


def _read_sidecars(store: ObjectStore, files: list[WatchedFile], outcome: Outcome) -> tuple[Sidecars, list[str]]:
    """What settled sidecars say, and keys of those that cannot be read just now; they count as not settled."""
    found: dict[str, Sidecar | RefusedUpload] = {}
    unreadable = []
    for file in files:
        if file.ending == SIDECAR_ENDING and file.settled and not file.taken:
            try:
                with without_names(f"sidecar {token_of(file.info)}"):
                    found[file.key] = parse_sidecar(store.read_range(file.key, 0, SIDECAR_MAX_BYTES + 1))
            except RefusedUpload as error:
                found[file.key] = error
            except NeuroVisionError as error:
                outcome.notes.append(f"{error} It is tried again later.")
                unreadable.append(file.key)
    return found, unreadable


def _reminders(waiting: list[Waiting], infos: dict[str, ObjectInfo], last_look_s: float, now_s: float) -> list[str]:
    """A line an hour about what has been waiting for hours."""
    return [
        f"upload {token_of(infos[decision.keys[0]])}: {decision.why}, for {(now_s - decision.since_s) / 3600:.0f} h."
        for decision in waiting
        if _hours(decision, now_s) > max(_hours(decision, last_look_s), 0)
    ]


def _hours(decision: Waiting, at_s: float) -> int:
    return int((at_s - decision.since_s) // REMIND_AFTER_S)


def _incoming_keys(record: UploadRecord) -> list[str]:
    keys = [part.incoming_key for part in record.parts]
    return [key for key in (*keys, record.sidecar.key if record.sidecar else None) if key]
