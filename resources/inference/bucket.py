"""A model repository in a bucket, mirrored into this machine's folder.

Belongs here: which objects make a version, in what order they are written and read. Does not belong here: S3 itself
(``resources.object_store``), what a version means (``repository``).

The bucket has Triton's layout, so that a server reads it as it is. A version is there when its model file is: of two
machines that publish at once, one writes the note first, and the other is told so.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urlparse

from filelock import FileLock

from resources.errors import ConfigurationError, TransientFailure
from resources.inference.notes import NOTE_FILE
from resources.inference.repository import CONFIG_FILE, MODEL_FILE
from resources.inference.spec import VARIANTS_FOLDER
from resources.object_store import ObjectStore
from resources.object_store.client import Server, client_of, in_our_words
from resources.settings import Settings, load_settings

SUBJECT: Final = "NEUROVISION_MODEL_REPOSITORY_URL"
STATE_FILE: Final = ".mirrored.json"
"""Entity tags of what was fetched: what has the same tag is not fetched again."""
LEFT_BEHIND_S: Final = 600.0
"""A version that has a note and no model for this long is of a publication that was killed."""


@dataclass(frozen=True)
class RepositoryBucket:
    """One repository in a bucket.

    Args:
        url: ``s3://bucket/prefix``.
    """

    url: str

    def fetch(self, root: Path) -> None:
        """Bring this machine's folder up to date; only what changed is loaded, a version appears whole.

        A bucket without a single object is a new one or one that was lost: nothing is removed here on its word, and
        :meth:`add_missing` fills it from this folder.

        Raises:
            ConfigurationError: the bucket cannot be used.
            TransientFailure: it does not answer.
        """
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".mirroring"):
            state = root / STATE_FILE
            known: dict[str, str] = json.loads(state.read_text()) if state.is_file() else {}
            there = dict(self._tags())
            if not there:
                return
            whole = {str(PurePosixPath(key).parent) for key in there if PurePosixPath(key).name == MODEL_FILE}
            there = {key: tag for key, tag in there.items() if not _is_version(key) or _version_of(key) in whole}
            changed = sorted(key for key, tag in there.items() if known.get(key) != tag or not (root / key).is_file())
            for key in sorted(changed, key=lambda key: PurePosixPath(key).name == MODEL_FILE):
                self._fetch_one(root, key)
            models = {PurePosixPath(key).parts[0] for key in there}  # one that is gone as a whole is being put back
            for key in (key for key in known.keys() - there.keys() if PurePosixPath(key).parts[0] in models):
                (root / key).unlink(missing_ok=True)
                _remove_empty(root, (root / key).parent)
            if there != known:
                state.write_text(json.dumps(there, indent=1))

    def add_missing(self, root: Path, names: list[str]) -> None:
        """Write models that the bucket does not have, such as those that came with the code.

        Raises:
            TransientFailure: the bucket does not answer.
        """
        there = {PurePosixPath(key).parts[0] for key, _ in self._tags()}
        for name in names:
            if name not in there:
                for path in sorted((root / name).rglob("*"), key=lambda path: path.name == CONFIG_FILE):
                    key = path.relative_to(root).as_posix()
                    if path.is_file() and not any(part.startswith(".") for part in PurePosixPath(key).parts):
                        self.store.write_file(key, path)

    def add_version(self, name: str, version: int, folder: Path) -> None:
        """Write a version, its model file last.

        Raises:
            TransientFailure: the bucket does not answer, or another machine publishes this version.
        """
        note, model = f"{name}/{version}/{NOTE_FILE}", f"{name}/{version}/{MODEL_FILE}"
        if not self.store.create_bytes(note, (folder / NOTE_FILE).read_bytes()):
            claimed = self.store.stat(note)
            is_old = claimed is not None and time.time() - claimed.modified_s > LEFT_BEHIND_S
            if self.store.stat(model) is not None or not is_old:
                raise TransientFailure(
                    f"Another machine has published version {version}, or is doing so.",
                    subject=f"model {name} in {self.url}",
                    remedy="Start it again; it will be compared with what is served then.",
                )
            self.store.write_file(note, folder / NOTE_FILE)
        self.store.write_file(model, folder / MODEL_FILE)

    def put_configurations(self, root: Path, name: str) -> None:
        """Write the model's configurations over those in the bucket.

        Raises:
            TransientFailure: the bucket does not answer.
        """
        folder = root / name
        for path in (folder / CONFIG_FILE, *(folder / VARIANTS_FOLDER).glob("*.pbtxt")):
            self.store.write_file(path.relative_to(root).as_posix(), path)

    def _fetch_one(self, root: Path, key: str) -> None:
        folder = root / ".fetching"
        folder.mkdir(exist_ok=True)
        fetched = self.store.local_file(key, folder=folder)
        target = root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(fetched, target.with_name(f".{target.name}.fetching"))
        target.with_name(f".{target.name}.fetching").replace(target)
        fetched.unlink()

    def _tags(self) -> Iterator[tuple[str, str]]:
        """Every object's key and entity tag, those of unfinished or foreign things left out."""
        settings = self._settings
        client = client_of(Server(settings.s3_endpoint_url, settings.s3_region, settings.s3_ca_file))
        bucket, prefix = urlparse(self.url).netloc, self._prefix
        with in_our_words(SUBJECT, bucket):
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for entry in page.get("Contents", []):
                    key = entry["Key"].removeprefix(prefix)
                    if "/" in key and not key.endswith("/") and not key.startswith("."):
                        yield key, entry["ETag"]

    @property
    def _prefix(self) -> str:
        path = urlparse(self.url).path.strip("/")
        return f"{path}/" if path else ""

    @cached_property
    def _settings(self) -> Settings:
        parsed = urlparse(self.url)
        if parsed.scheme != "s3" or not parsed.netloc:
            raise ConfigurationError(
                f"'{self.url}' names no bucket.", subject=SUBJECT, remedy="Use s3://bucket/prefix, or leave it empty."
            )
        return load_settings()

    @cached_property
    def store(self) -> ObjectStore:
        """The objects of the repository by their path in it."""
        return ObjectStore.of(self._settings.model_copy(update={"object_store_url": self.url}))


def _is_version(key: str) -> bool:
    return len(PurePosixPath(key).parts) > 2 and PurePosixPath(key).parts[1].isdigit()


def _version_of(key: str) -> str:
    return "/".join(PurePosixPath(key).parts[:2])


def _remove_empty(root: Path, folder: Path) -> None:
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
