"""The server: a socket on 127.0.0.1, a token, and uvicorn."""

from __future__ import annotations

import secrets
import socket
import threading
import webbrowser

import uvicorn
from autopilot.api import Registry, UserError
from autopilot.sessions.home import Home

from autopilot_studio.app import make_app
from autopilot_studio.beside import Beside
from autopilot_studio.catalogue import Catalogue
from autopilot_studio.guard import Guard


class Server:
    """A studio that listens already; `run` serves it until Ctrl-C.

    Raises UserError when the port is taken.
    """

    def __init__(self, home: Home, registry: Registry, port: int = 0) -> None:
        self._socket = socket.socket()
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind(("127.0.0.1", port))
            self._socket.listen(128)
        except OSError as e:
            raise UserError(f"cannot listen on port {port} ({e.strerror}): choose another --port") from e
        self.port: int = self._socket.getsockname()[1]
        self.token = secrets.token_urlsafe(24)
        self.catalogue = Catalogue(home)
        pages = make_app(home, registry, self.catalogue)
        self._beside: Beside = pages.state.studio.beside
        app = Guard(pages, self.port, self.token)
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                app, log_config=None, access_log=False, lifespan="off", server_header=False, timeout_graceful_shutdown=1
            )
        )

    @property
    def url(self) -> str:
        """The address to open, with its token."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    def run(self, browser: bool = False) -> None:
        """Serve until Ctrl-C."""
        ended = threading.Event()
        threading.Thread(target=self.catalogue.count_all, args=(ended,), daemon=True).start()
        if browser:
            threading.Thread(target=webbrowser.open, args=(self.url,), daemon=True).start()
        try:
            self._uvicorn.run([self._socket])
        except KeyboardInterrupt:  # which is how a person ends it
            pass
        finally:
            ended.set()
            self._beside.close()

    def stop(self) -> None:
        """Let `run` return soon; for another thread."""
        self._uvicorn.should_exit = True
