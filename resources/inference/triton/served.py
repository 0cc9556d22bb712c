"""Whether a server serves what a run pinned: this file, with this promise, under this number.

Belongs here: the digests that stand in a repository's configurations, and the comparison with what a server says of
itself. Does not belong here: requests (``model``).

Triton tells a model's configuration and nothing of its files. So the platform writes the digest of every version into
the configuration before it asks a server to load the model: what the server answers with then is what it loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from resources.errors import ConfigurationError
from resources.inference.repository import CONFIG_FILE, ModelRepository
from resources.inference.spec import NUMPY_TYPES, VARIANTS_FOLDER, ModelSpec, TensorSpec, parse_config
from resources.inference.triton.connection import Connection
from resources.inference.triton.failures import NotServed, ServerFailure

DIGEST_PARAMETER: Final = "digest_{version}"


def note_digests(repository: ModelRepository, name: str) -> None:
    """Write the digest of every version on disk into the model's configurations, where it does not stand there yet."""
    digests = {
        DIGEST_PARAMETER.format(version=v): repository.digest(name, v) for v in repository.versions_on_disk(name)
    }
    folder = repository.root / name
    for path in (folder / CONFIG_FILE, *(folder / VARIANTS_FOLDER).glob("*.pbtxt")):
        _note(path, digests)


def check_served(connection: Connection, spec: ModelSpec, load: Callable[[str], None]) -> str:
    """Refuse a server that would answer with something else; it is asked once to load what it does not know.

    Returns:
        Where the model computes there, ``cpu`` or ``gpu``.

    Raises:
        ConfigurationError: it serves another file or another promise, or not this version.
        TransientFailure: it does not answer.
    """
    try:
        problem = _problem(config := _config(connection, spec), spec)
        if problem:
            load(spec.identity.name)
            problem = _problem(config := _config(connection, spec), spec)
    except NotServed:
        load(spec.identity.name)
        try:
            problem = _problem(config := _config(connection, spec), spec)
        except ServerFailure as failure:
            raise _refusal(connection, spec, f"does not serve it: {failure}") from failure
    except ServerFailure as failure:
        raise _refusal(connection, spec, f"does not tell its configuration: {failure}") from failure
    if problem:
        raise _refusal(connection, spec, problem)
    kinds = {group.get("kind", "KIND_CPU") for group in config.get("instance_group", [])}
    return "gpu" if "KIND_GPU" in kinds else "cpu"


def _config(connection: Connection, spec: ModelSpec) -> dict[str, Any]:
    return connection.call(lambda transport: transport.config(spec.identity.name, spec.identity.version))


def _problem(config: Mapping[str, Any], spec: ModelSpec) -> str:
    """What differs, empty when nothing does."""
    key = DIGEST_PARAMETER.format(version=spec.identity.version)
    digest = config.get("parameters", {}).get(key, {}).get("string_value", "")
    if digest != spec.identity.digest:
        told = f"the file {digest[:12]}" if digest else "a file that it does not name"
        return f"serves {told} as version {spec.identity.version}, the repository has {spec.identity.digest[:12]}"
    batch = int(config.get("max_batch_size", 0))
    if batch != spec.max_batch_size:
        return f"takes batches of {batch}, the repository says {spec.max_batch_size}"
    for side, promised in (("input", spec.inputs), ("output", spec.outputs)):
        found = {tensor["name"]: tensor for tensor in config.get(side, [])}
        wrong = [name for name, tensor in promised.items() if name not in found or not _agrees(found[name], tensor)]
        if wrong or (side == "input" and set(found) != set(promised)):
            return f"promises other {side}s: {sorted(found)}, wrong are {wrong}"
    return ""


def _agrees(found: Mapping[str, Any], tensor: TensorSpec) -> bool:
    dims = tuple(int(size) for size in found.get("dims", []))
    return NUMPY_TYPES.get(found.get("data_type", "")) is tensor.dtype and dims == tensor.dims


def _refusal(connection: Connection, spec: ModelSpec, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"The server {what}.",
        subject=f"{spec.identity.name} version {spec.identity.version} on Triton at {connection.url}",
        remedy="Let the server read the repository that this platform writes (NEUROVISION_MODEL_REPOSITORY_URL).",
    )


def _note(path: Path, digests: Mapping[str, str]) -> None:
    from google.protobuf import text_format

    config = parse_config(path)
    known = {key: value.string_value for key, value in config.parameters.items()}
    if digests.items() <= known.items():
        return
    for key, digest in digests.items():
        config.parameters[key].string_value = digest
    temporary = path.with_name(f".{path.name}.writing")
    temporary.write_text(text_format.MessageToString(config), encoding="utf-8")
    temporary.replace(path)
