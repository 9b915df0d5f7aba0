"""Serves the HTML report of running processes on the loopback address, with numbers that are renewed each second.

A data folder comes in. The address of the pages goes to standard output. Only a browser that has this address, with
its token, gets a page. The command ends at Ctrl-C and at SIGTERM.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
import time

from instrument import config
from instrument.commands._data_options import add_patterns, patterns_of
from instrument.errors import DataError, RequestError
from instrument.report.html.writing import Choices, require_libraries
from instrument.report.text import say, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

#: Random bytes of the token.
_TOKEN = 32
_MOST_PORT = 65535


class Terminated(KeyboardInterrupt):
    """SIGTERM ends the command."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to *parser*."""
    parser.add_argument(
        "directory", metavar="DIR", nargs="?", help="the folder of the data (default: INSTRUMENT_DIR, or .instrument)"
    )
    parser.add_argument("--dir", metavar="DIR", help="the same as DIR")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="the port (default: a free one)")
    parser.add_argument("--open", action="store_true", help="open the pages in the browser")
    add_patterns(parser)
    parser.add_argument("--only-imported", action="store_true", help="leave out files that were never imported")
    parser.add_argument("--title", metavar="TEXT", default=Choices().title, help="the title of the pages")


def execute(options: argparse.Namespace) -> int:
    """Serve the pages until Ctrl-C or SIGTERM. Raise ConfigError or RequestError if that is impossible."""
    require_libraries()
    if not 0 <= options.port <= _MOST_PORT:
        raise RequestError(f"--port is {options.port}; it must be from 0 to {_MOST_PORT}")
    if options.directory is not None and options.dir is not None:
        raise RequestError("DIR and --dir name two folders; name one")
    directory = config.read_settings({"dir": options.directory or options.dir}).directory
    if os.path.exists(directory) and not os.path.isdir(directory):
        raise DataError(f"{directory!r} is no folder; name the folder of the data")
    before = signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        _serve(options, directory)
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _serve(options: argparse.Namespace, directory: str) -> None:
    """Take samples in this thread, and answer requests in others, until an exception ends it."""
    from instrument.serving.samples import Samples
    from instrument.serving.sampling import Sampler
    from instrument.serving.server import HOST, Server
    from instrument.serving.site import Site

    samples, token = Samples(), secrets.token_urlsafe(_TOKEN)
    choices = Choices(options.title)
    sampler = Sampler(samples, directory, patterns_of(options), choices, only_imported=options.only_imported)
    with Server(options.port) as server:
        server.answer = Site(samples, token, server.server_port, options.title).answer
        thread = threading.Thread(target=server.serve_forever, name="instrument serve", daemon=True)
        thread.start()
        try:
            address = f"http://{HOST}:{server.server_port}/{token}/"
            say([f"Serving the counts in {shown(directory)}; Ctrl-C ends it."], sys.stderr)
            print(address, flush=True)
            if options.open:
                import webbrowser

                webbrowser.open(address)
            while True:
                time.sleep(sampler.next())
        finally:
            sampler.withdraw()
            server.shutdown()


def _raise_terminated(*_: object) -> None:
    raise Terminated
