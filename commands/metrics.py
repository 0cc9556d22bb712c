"""``python -m commands.metrics``: serve the platform's figures to Prometheus, until SIGTERM.

Belongs here: the command line, HTTP, which collectors are served. Does not belong here: figures and where they come
from (``resources.run_queue_metrics``). Other sources join as collectors of :func:`registry_of`.

``/metrics`` is 503 and one line as soon as a source does not answer: Prometheus then calls the target down and drops
its series, so nobody reads an old figure as a new one. ``/healthz`` is of this process alone: a restart of it would
mend no database.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from commands.platform import prepare_dagster_home
from resources.errors import ConfigurationError, NeuroVisionError
from resources.settings import load_settings

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from prometheus_client import CollectorRegistry

HOST = "127.0.0.1"
PORT = 9000
"""S04."""
METRICS, HEALTH = "/metrics", "/healthz"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve.

    Returns:
        0 after SIGTERM or SIGINT, 1 when it cannot start; one line on standard error says why.
    """
    parser = argparse.ArgumentParser(prog="commands.metrics", description="Serve figures to Prometheus.")
    parser.add_argument("--host", default=HOST, help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=PORT, help="0 for a free one (default %(default)s)")
    parser.add_argument(
        "--instance",
        type=Path,
        metavar="FOLDER",
        help="a dagster.yaml that others wrote, such as Dagster's chart; this deployment's own without it",
    )
    options = parser.parse_args(arguments)
    try:
        if find_spec("prometheus_client") is None:
            raise ConfigurationError(
                "What it needs is not installed.", subject="metrics", remedy="Run: sh scripts/setup.sh services"
            )
        registry = registry_of(dagster_home(options.instance))
        server = listen(options.host, options.port, application(registry))
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    serve_until_told(server)
    return 0


def dagster_home(given: Path | None) -> Path:
    """The folder of the instance's ``dagster.yaml``.

    Raises:
        ConfigurationError: there is none in the folder that was named: Dagster would make an empty instance there.
    """
    if given is None:
        return prepare_dagster_home(load_settings())
    if not (given / "dagster.yaml").is_file():
        raise ConfigurationError(
            "There is no dagster.yaml in it.", subject=str(given), remedy="Name the folder of an instance's."
        )
    return given


def registry_of(home: Path) -> CollectorRegistry:
    """All that is served: nothing is asked yet.

    Args:
        home: where the ``dagster.yaml`` lies whose run storage is asked.
    """
    import dagster as dg
    from prometheus_client import CollectorRegistry

    from resources.run_queue_metrics import RunQueueCollector

    registry = CollectorRegistry()
    registry.register(RunQueueCollector(lambda: dg.DagsterInstance.from_config(str(home))))
    return registry


def application(registry: CollectorRegistry) -> WSGIApplication:
    """Both pages."""
    from prometheus_client import make_wsgi_app

    metrics = make_wsgi_app(registry)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == METRICS:
            try:
                return metrics(environ, start_response)  # type: ignore[no-any-return]
            except NeuroVisionError as error:
                print(f"error: {error}", file=sys.stderr, flush=True)
                status, line = "503 Service Unavailable", str(error)
        elif environ["PATH_INFO"] == HEALTH:
            status, line = "200 OK", "ok"
        else:
            status, line = "404 Not Found", f"There are {METRICS} and {HEALTH}."
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{line}\n".encode()]

    return answer


class _Server(ThreadingMixIn, WSGIServer):
    """A thread a request: one that waits for a database keeps nobody from asking whether this process lives."""

    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's names
        """Nothing: a scrape every few seconds is no news."""


def listen(host: str, port: int, pages: WSGIApplication) -> WSGIServer:
    """A server that has its port.

    Raises:
        ConfigurationError: the address cannot be used.
    """
    try:
        return make_server(host, port, pages, server_class=_Server, handler_class=_Handler)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"The address cannot be used: {error}.", subject=f"{host}:{port}", remedy="Choose another: --host, --port."
        ) from error


def serve_until_told(server: WSGIServer) -> None:
    """Say where, serve, and return at SIGTERM or SIGINT."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    host, port = server.server_address[:2]
    print(f"metrics: http://{host!s}:{port}{METRICS}", flush=True)
    told.wait()
    server.shutdown()
    server.server_close()


if __name__ == "__main__":
    sys.exit(main())
