"""A language server, asked as an editor asks it: what completes at a place in a file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

CARET = "<caret>"


class LanguageServer:
    """One running basedpyright, for the files of one folder."""

    def __init__(self, requests: IO[bytes], answers: IO[bytes], folder: Path) -> None:
        self._requests = requests
        self._answers = answers
        self._number = 0
        folders = [{"uri": folder.as_uri(), "name": "samples"}]
        about = {"configuration": True, "workspaceFolders": True}
        self._ask("initialize", {"processId": None, "workspaceFolders": folders, "capabilities": {"workspace": about}})
        self._send({"method": "initialized", "params": {}})

    def completions(self, path: Path, text: str) -> dict[str, str]:
        """What completes where the caret stands in `text`, by name, with the detail that an editor shows."""
        before, _, after = text.partition(CARET)
        document = {"uri": path.as_uri(), "languageId": "python", "version": 1, "text": before + after}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        place = {"line": before.count("\n"), "character": len(before.rpartition("\n")[2])}
        found = self._ask("textDocument/completion", {"textDocument": {"uri": document["uri"]}, "position": place})
        self._send({"method": "textDocument/didClose", "params": {"textDocument": {"uri": document["uri"]}}})
        items = found["items"] if isinstance(found, dict) else found or []
        return {item["label"]: item.get("detail", "") for item in items}

    def _ask(self, method: str, params: dict[str, Any]) -> Any:
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == self._number and "method" not in message:
                return message.get("result")
            if "id" in message:  # the server's own questions, such as for its settings
                self._send({"id": message["id"], "result": self._settings(message)})

    def _settings(self, message: dict[str, Any]) -> Any:
        if message["method"] != "workspace/configuration":
            return None
        known = {"python": {"pythonPath": sys.executable}}
        return [known.get(item.get("section"), {}) for item in message["params"]["items"]]

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._requests.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._requests.flush()

    def _receive(self) -> dict[str, Any]:
        length = 0
        while line := self._answers.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the language server has ended"
        message: dict[str, Any] = json.loads(self._answers.read(length))
        return message


@contextmanager
def language_server(folder: Path) -> Iterator[LanguageServer]:
    """basedpyright's language server, for as long as the block lasts."""
    command = [str(Path(sys.executable).parent / "basedpyright-langserver"), "--stdio"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield LanguageServer(process.stdin, process.stdout, folder)
        finally:
            process.kill()
