"""Where everything is kept that is not a row: one interface over a folder and over S3.

Belongs here: which names others may use. Does not belong here: what an object means (``neurovision_assets.artifacts``).
"""

from resources.object_store.objects import (
    ObjectInfo,
    altered_object,
    is_out_of_space,
    missing_object,
    sha256_of_file,
)
from resources.object_store.remote_file import RemoteFile, Source, opened, size_of
from resources.object_store.store import LOCK_FOLDER, ObjectStore

__all__ = [
    "LOCK_FOLDER",
    "ObjectInfo",
    "ObjectStore",
    "RemoteFile",
    "Source",
    "altered_object",
    "is_out_of_space",
    "missing_object",
    "opened",
    "sha256_of_file",
    "size_of",
]
