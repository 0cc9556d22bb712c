"""What a look at ``incoming/`` says: which uploads are complete, which still wait, which are refused.

Belongs here: pure decisions over files, sidecars and the clock. Does not belong here: reading or moving anything
(``intake``, ``registration``, ``refusal``), Dagster.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from neurovision_assets.uploads.decisions import Accept, Decision, Refuse, Waiting
from neurovision_assets.uploads.identity import check_size
from neurovision_assets.uploads.names import SIDECAR_ENDING, UNFINISHED_ENDINGS, VIDEO_ENDINGS, endings_in_words
from neurovision_assets.uploads.sidecar import RefusedUpload, Sidecar
from neurovision_assets.uploads.watch import WatchedFile
from resources.settings import Settings

STILL_GROWING = "still being written"
NO_VIDEO_YET = "a sidecar without its video"
NO_SIDECAR_YET = "a video that may still get a sidecar"

Sidecars = Mapping[str, Sidecar | RefusedUpload]


def decide(
    files: Sequence[WatchedFile], sidecars: Sidecars, now_s: float, settings: Settings, profiles: Collection[str]
) -> list[Decision]:
    """Decide about every file that is not taken, each in exactly one decision.

    Args:
        files: what lies in ``incoming/``.
        sidecars: what the settled sidecars say, or why they cannot be taken, by key.
        now_s: seconds since 1970.
        settings: waits and limits.
        profiles: analysis profiles that can be asked for.

    Returns:
        Decisions, what lies there longest first.
    """
    return _Look(files, sidecars, now_s, settings, profiles).decisions()


class _Look:
    """One look; ``held`` are the files that a decision has been made about."""

    def __init__(
        self,
        files: Sequence[WatchedFile],
        sidecars: Sidecars,
        now_s: float,
        settings: Settings,
        profiles: Collection[str],
    ) -> None:
        self._files = sorted((file for file in files if not file.taken), key=lambda file: (file.since_s, file.key))
        self._videos = [file for file in files if file.ending in VIDEO_ENDINGS]
        self._sidecars = sidecars
        self._now_s = now_s
        self._settings = settings
        self._profiles = profiles
        self._held: set[str] = set()

    def decisions(self) -> list[Decision]:
        """Lists of parts come first: their files are not videos of their own."""
        unnamable = [file for file in self._files if not _is_text(file.name)]
        sidecars = [file for file in self._files if file.ending == SIDECAR_ENDING]
        lists = [file for file in sidecars if self._list_of_parts(file)]
        steps = (
            (unnamable, self._unnamable),
            (lists, self._recording_in_parts),
            (sidecars, self._with_sidecar),
            (self._files, self._alone),
        )
        made: list[Decision] = []
        for candidates, step in steps:
            for file in candidates:
                if file.key not in self._held:
                    decision = step(file)
                    self._held.update(decision.keys)
                    made.append(decision)
        since_s = {file.key: file.since_s for file in self._files}
        return sorted(made, key=lambda decision: min(since_s[key] for key in decision.keys))

    def _list_of_parts(self, file: WatchedFile) -> Sidecar | None:
        said = self._sidecars.get(file.key)
        return said if isinstance(said, Sidecar) and said.parts else None

    def _unnamable(self, file: WatchedFile) -> Decision:
        return self._refuse([file], "The file's name is not text in UTF-8. Rename the file and upload it again.")

    def _recording_in_parts(self, file: WatchedFile) -> Decision:
        said = self._list_of_parts(file)
        by_name = {video.name: video for video in self._videos}
        found = [by_name.get(name) for name in (said and said.parts) or ()]
        present = [video for video in found if video]
        mine = [video for video in present if not video.taken and video.key not in self._held]
        if len(mine) < len(present):
            return self._refuse(
                [file, *mine],
                "A part that the sidecar lists belongs to another upload already. "
                "Erase that one, then upload all parts again, the sidecar first.",
            )
        if len(mine) < len(found):
            return _wait([file, *mine], f"{len(found) - len(mine)} of {len(found)} parts are not there yet")
        return self._accept(mine, file, said)

    def _with_sidecar(self, file: WatchedFile) -> Decision:
        namesakes = [video for video in self._videos if video.stem == file.stem]
        free = [video for video in namesakes if not video.taken and video.key not in self._held]
        said = self._sidecars.get(file.key)
        if said is None:
            return _wait([file, *free], STILL_GROWING)
        if namesakes and not free:
            return self._refuse(
                [file],
                "The sidecar came when its video had already been taken. "
                "To change what is known of that video, erase it and upload both again, the sidecar first.",
            )
        if isinstance(said, RefusedUpload):
            told = free or self._waited(file)
            return self._refuse([file, *free], said.reason) if told else _wait([file], NO_VIDEO_YET)
        if not free:
            return _wait([file], NO_VIDEO_YET)
        if len(free) > 1:
            return self._refuse(
                [file, *free],
                "Several videos share one sidecar. "
                "Give each its own, or list them in order as parts, then upload all of them again.",
            )
        return self._accept(free, file, said)

    def _alone(self, file: WatchedFile) -> Decision:
        if file.ending in UNFINISHED_ENDINGS:
            return _wait([file], STILL_GROWING)
        if file.ending not in VIDEO_ENDINGS:
            return self._refuse(
                [file], f"Its ending is neither that of a video ({endings_in_words()}) nor {SIDECAR_ENDING}. Rename it."
            )
        if file.settled and not self._waited(file):
            return _wait([file], NO_SIDECAR_YET)
        return self._accept([file], None, None)

    def _waited(self, file: WatchedFile) -> bool:
        return self._now_s - file.since_s >= self._settings.upload_sidecar_wait_s

    def _accept(self, parts: list[WatchedFile], sidecar: WatchedFile | None, said: Sidecar | None) -> Decision:
        together = [*parts, sidecar] if sidecar else parts
        if not all(file.settled for file in together):
            return _wait(together, STILL_GROWING)
        try:
            check_size([file.info.size_bytes for file in parts], self._settings.upload_max_bytes)
        except RefusedUpload as error:
            return self._refuse(together, error.reason)
        if said and said.profile and said.profile not in self._profiles:
            return self._refuse(
                together,
                "The sidecar asks for an analysis profile that does not exist. "
                f"Profiles are {', '.join(sorted(self._profiles))}; correct it, then upload all files again.",
            )
        infos = tuple(file.info for file in parts)
        return Accept(infos, (sidecar or parts[0]).stem, said, sidecar.info if sidecar else None)

    def _refuse(self, files: list[WatchedFile], reason: str) -> Decision:
        """Nothing is moved while any of it is being written."""
        if not all(file.settled for file in files):
            return _wait(files, STILL_GROWING)
        return Refuse(tuple(file.key for file in files), reason)


def _wait(files: list[WatchedFile], why: str) -> Waiting:
    return Waiting(tuple(file.key for file in files), why, min(file.since_s for file in files))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
