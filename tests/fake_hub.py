"""A hub on this machine that huggingface_hub's real client can talk to: folders served as models, and refusals."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """models: id → folder. refusals: id → (status, error code) for every request, or only for files where `files`."""

    def __init__(self) -> None:
        self.models: dict[str, Path] = {}
        self.refusals: dict[str, tuple[int, str]] = {}
        self.refused_files: dict[str, tuple[int, str]] = {}
        self.claimed_sizes: dict[str, int] = {}  # file name → size that the listing claims
        self.downloads: list[str] = []
        self.requests = 0
        self.url = ""

    @contextmanager
    def served(self) -> Iterator[FakeHub]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def answer(self, path: str) -> tuple[int, str, bytes, str]:
        """(status, error code, body, etag) for a path, as the hub answers it."""
        self.requests += 1
        api, parts = path.startswith("/api/models/"), path.removeprefix("/api/models/").strip("/").split("/")
        repo, what, rest = "/".join(parts[:2]), parts[2] if len(parts) > 2 else "", parts[3:]
        refusal = self.refusals.get(repo) or (None if api else self.refused_files.get(repo))
        if refusal:
            return *refusal, b"", ""
        if repo not in self.models:
            return 404, "RepoNotFound", b"", ""
        if rest and rest[0] not in ("main", COMMIT):
            return 404, "RevisionNotFound", b"", ""
        files = sorted(path for path in self.models[repo].rglob("*") if path.is_file())
        if api:
            return 200, "", json.dumps(self._listing(repo, what, files)).encode(), ""
        file = self.models[repo] / "/".join(rest[1:])
        if not file.is_file():
            return 404, "EntryNotFound", b"", ""
        content = file.read_bytes()
        return 200, "", content, hashlib.sha256(content).hexdigest()

    def _listing(self, repo: str, what: str, files: list[Path]) -> Any:
        names = [path.relative_to(self.models[repo]).as_posix() for path in files]
        sizes = [self.claimed_sizes.get(name, path.stat().st_size) for name, path in zip(names, files, strict=True)]
        if what == "tree":
            return [
                {"type": "file", "path": name, "size": size, "oid": hashlib.sha1(name.encode()).hexdigest()}
                for name, size in zip(names, sizes, strict=True)
            ]
        siblings = [{"rfilename": name, "size": size} for name, size in zip(names, sizes, strict=True)]
        return {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings}


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._respond(with_body=True)

        def do_HEAD(self) -> None:
            self._respond(with_body=False)

        def _respond(self, with_body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            status, code, body, etag = hub.answer(path)
            if with_body and status == 200 and "/resolve/" in path:
                hub.downloads.append(path.split("/resolve/")[1].partition("/")[2])
            self.send_response(status)
            headers = {"X-Error-Code": code, "X-Repo-Commit": COMMIT, "ETag": f'"{etag}"' if etag else ""}
            for key, value in headers.items():
                if value:
                    self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/json" if path.startswith("/api/") else "application/x")
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing to say."""

    return Handler
