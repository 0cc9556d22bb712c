"""The bucket's policy: who may read results may not see recordings as they came, which name patients.

Belongs here: the policy for the configured bucket, printed or put in force. Does not belong here: users and their keys,
which the server's owner makes.

    python -m commands.bucket_policy --platform ARN --reader ARN... [--apply]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlparse

from neurovision_assets.uploads.names import INCOMING, RAW, REJECTED
from resources.errors import ConfigurationError, NeuroVisionError
from resources.object_store.client import SUBJECT, Server, client_of, in_our_words
from resources.settings import Settings, load_settings

RESTRICTED = (INCOMING, RAW, REJECTED)
"""Where file names and containers may name a patient; everything else is without names."""
VERSION = "2012-10-17"
"""Of the policy language; it has not changed since."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the policy, or put it in force; the exit code says whether it could be."""
    parser = argparse.ArgumentParser(prog="bucket_policy", description="The policy of the platform's bucket.")
    parser.add_argument("--platform", required=True, help="who may do everything, as the server names users")
    parser.add_argument("--reader", action="append", required=True, help="who may read results; may be repeated")
    parser.add_argument("--apply", action="store_true", help="put it in force instead of printing it")
    chosen = parser.parse_args(arguments)
    try:
        settings = load_settings()
        bucket, prefix = place_of(settings)
        policy = json.dumps(policy_of(bucket, prefix, chosen.platform, chosen.reader), indent=2)
        if chosen.apply:
            put_in_force(settings, bucket, policy)
        else:
            print(policy)
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def place_of(settings: Settings) -> tuple[str, str]:
    """Bucket and prefix of the object store; the prefix is empty or ends in a slash.

    Raises:
        ConfigurationError: objects lie in a folder.
    """
    place = urlparse(settings.objects_url)
    if place.scheme != "s3":
        raise ConfigurationError("Objects lie in no bucket.", subject=SUBJECT, remedy="Set it to s3://bucket/prefix.")
    prefix = place.path.strip("/")
    return place.netloc, f"{prefix}/" if prefix else ""


def policy_of(bucket: str, prefix: str, platform: str, readers: Sequence[str]) -> dict[str, Any]:
    """The policy as S3 reads it: a denial wins over all else, and who is not named gets nothing.

    Args:
        bucket: its name.
        prefix: of all keys, empty or ending in a slash.
        platform: who may do everything.
        readers: who may read, but nothing under the restricted prefixes.
    """
    objects = f"arn:aws:s3:::{bucket}/{prefix}"
    return {
        "Version": VERSION,
        "Statement": [
            {
                "Sid": "PlatformWorks",
                "Effect": "Allow",
                "Principal": {"AWS": [platform]},
                "Action": ["s3:*"],
                "Resource": [f"arn:aws:s3:::{bucket}", f"{objects}*"],
            },
            {
                "Sid": "ReadersSeeResults",
                "Effect": "Allow",
                "Principal": {"AWS": list(readers)},
                "Action": ["s3:GetObject"],
                "Resource": [f"{objects}*"],
            },
            {
                "Sid": "ReadersSeeNoPatients",
                "Effect": "Deny",
                "Principal": {"AWS": list(readers)},
                "Action": ["s3:*"],
                "Resource": [f"{objects}{name}/*" for name in RESTRICTED],
            },
        ],
    }


def put_in_force(settings: Settings, bucket: str, policy: str) -> None:
    """Give the bucket the policy.

    Raises:
        NeuroVisionError: the server refuses it.
    """
    server = Server(settings.s3_endpoint_url, settings.s3_region, settings.s3_ca_file)
    client: Any = client_of(server)
    with in_our_words(bucket, bucket):
        client.put_bucket_policy(Bucket=bucket, Policy=policy)


if __name__ == "__main__":
    sys.exit(main())
