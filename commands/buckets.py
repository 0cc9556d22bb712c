"""``python -m commands.buckets NAME...``: make the buckets that a deployment needs; those that are there stay.

Belongs here: making them on the S3 server of the settings. Does not belong here: policies, versions, keys (the server's
own administration), what is kept in them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from resources.errors import NeuroVisionError
from resources.object_store.client import Server, client_of, code_of, in_our_words
from resources.settings import Settings, load_settings

NOT_THERE = frozenset({"404", "NoSuchBucket", "NotFound"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what is missing; 1 where the server would not, with one line that says why."""
    parser = argparse.ArgumentParser(prog="commands.buckets", description="Make buckets on the deployment's S3 server.")
    parser.add_argument("names", nargs="+", metavar="NAME")
    options = parser.parse_args(arguments)
    try:
        made = make_buckets(load_settings(), options.names)
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"buckets: made {', '.join(made) or 'none, all are there'}")
    return 0


def make_buckets(settings: Settings, names: Sequence[str]) -> list[str]:
    """The buckets that were missing and now are there.

    Raises:
        NeuroVisionError: the server does not answer, or refuses; the bucket is named.
    """
    client = client_of(Server(settings.s3_endpoint_url, settings.s3_region, settings.s3_ca_file))
    made = []
    for name in names:
        with in_our_words(f"s3://{name}", name):
            if not _is_there(client, name):
                client.create_bucket(Bucket=name)
                made.append(name)
    return made


def _is_there(client: object, name: str) -> bool:
    from botocore.exceptions import ClientError

    try:
        client.head_bucket(Bucket=name)  # type: ignore[attr-defined]
    except ClientError as error:
        if code_of(error) in NOT_THERE:
            return False
        raise
    return True


if __name__ == "__main__":
    sys.exit(main())
