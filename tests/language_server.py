"""A client of a language server over standard input and output: as much of the protocol as the tests need."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

LIMIT_S = 120  # for all of a server's life: one that stops answering is ended, and the question it owes fails


class LanguageServer:
    """The server while it runs: `with LanguageServer(["yaml-language-server", "--stdio"], settings) as server`."""

    def __init__(self, command: Sequence[str], settings: dict[str, Any]) -> None:
        self._settings = settings
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._deadline = threading.Timer(LIMIT_S, self._process.kill)
        self._next_id = 0
        self._diagnostics: dict[str, list[dict[str, Any]]] = {}

    def __enter__(self) -> LanguageServer:
        self._deadline.start()
        snippets = {"textDocument": {"completion": {"completionItem": {"documentationFormat": ["markdown"]}}}}
        self._ask("initialize", {"processId": None, "rootUri": None, "capabilities": snippets})
        self._tell("initialized", {})
        self._tell("workspace/didChangeConfiguration", {"settings": self._settings})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadline.cancel()
        self._process.kill()
        self._process.communicate()

    def open(self, path: Path, text: str) -> str:
        """Show the server a file as an editor would; gives its URI."""
        document = {"uri": path.as_uri(), "languageId": "yaml", "version": 1, "text": text}
        self._tell("textDocument/didOpen", {"textDocument": document})
        return path.as_uri()

    def complete(self, uri: str, line: int, character: int) -> dict[str, dict[str, Any]]:
        """What the editor offers there, by label. Lines and characters count from 0."""
        found = self._ask("textDocument/completion", _at(uri, line, character))
        items = found["items"] if isinstance(found, dict) else found
        return {item["label"]: item for item in items}

    def hover(self, uri: str, line: int, character: int) -> str:
        found = self._ask("textDocument/hover", _at(uri, line, character))
        return str(found["contents"]["value"]) if found else ""

    def diagnostics(self, uri: str) -> list[dict[str, Any]]:
        """What the server finds wrong with an open file; waits for it."""
        while uri not in self._diagnostics:
            self._receive()
        return self._diagnostics[uri]

    def _ask(self, method: str, params: Any) -> Any:
        self._next_id += 1
        wanted = self._next_id
        self._send({"id": wanted, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == wanted and "method" not in message:
                return message["result"]

    def _tell(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        """The next message. The server's own requests are answered on the way."""
        assert self._process.stdout is not None
        length = 0
        while (line := self._process.stdout.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the language server ended"
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        if message.get("method") == "textDocument/publishDiagnostics":
            self._diagnostics[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif message.get("method") == "workspace/configuration":
            answer = [self._settings.get(item["section"]) for item in message["params"]["items"]]
            self._send({"id": message["id"], "result": answer})
        elif "method" in message and "id" in message:
            self._send({"id": message["id"], "result": None})
        return message


def _at(uri: str, line: int, character: int) -> dict[str, Any]:
    return {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}
