"""Chromium without a window, spoken to over two pipes by its DevTools protocol. Look first at
`Tab.open`. Every request beyond the file, and every error of a script, is kept in `Tab.faults`."""

import base64
import functools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Windows hands on no pipes by their numbers.
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None) if os.name == "posix" else None
KEYS = {"Tab": 9, "Enter": 13, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38,
        "ArrowRight": 39, "ArrowDown": 40}  # fmt: skip


@functools.cache
def axe() -> str | None:
    """The program that finds what hinders people (npm install axe-core), if node finds it."""
    node = shutil.which("node")
    find = [str(node), "-p", "require.resolve('axe-core/axe.min.js')"]
    done = subprocess.run(find, capture_output=True, text=True, check=False) if node else None
    return Path(done.stdout.strip()).read_text() if done and done.returncode == 0 else None


class Tab:
    def __init__(self, send: int, receive: int) -> None:
        self.send, self.receive = send, receive
        self.read, self.number, self.session = b"", 0, ""
        self.faults: list[str] = []
        self.file, self.loaded = "", False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """Send a command and wait for its answer."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive_one()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    def receive_one(self) -> dict[str, Any]:
        while b"\0" not in self.read:
            part = os.read(self.receive, 1 << 16)
            assert part, "the browser has ended"
            self.read += part
        first, _, self.read = self.read.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        self.note(message.get("method", ""), message.get("params", {}))
        return message

    def note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if url not in (self.file, "about:srcdoc", "about:blank"):
                self.faults.append(f"request: {url[:200]}")
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.faults.append(str(details.get("exception", details).get("description", details)))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.faults.append(params["entry"]["text"])

    def open(
        self,
        path: Path,
        width: int = 1280,
        height: int = 900,
        scheme: str = "light",
        scripts: bool = True,
        motion: bool = True,
    ) -> None:
        """Open a file in a window of this size, in light or dark colours, with scripts or
        motion, or without."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        reduced = "no-preference" if motion else "reduce"
        media = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": reduced},
        ]
        self.call("Emulation.setEmulatedMedia", features=media)
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.file, self.loaded, self.faults = path.resolve().as_uri(), False, []
        self.call("Page.navigate", url=self.file)
        while not self.loaded:
            self.receive_one()

    def run(self, expression: str) -> Any:
        """The value of an expression, or of the promise that it gives."""
        found = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, expression: str, seconds: float = 20) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(expression):
            assert time.monotonic() < end, f"it never came true: {expression}"
            time.sleep(0.02)

    def hindrances(self) -> list[str]:
        """What axe-core finds wrong with the page, with the element of each."""
        text = axe()
        assert text is not None
        self.call("Emulation.setScriptExecutionDisabled", value=False)
        self.run(text + "; 0")
        found = self.run("axe.run().then((found) => found.violations)")
        return [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]

    def press(self, *keys: str) -> None:
        for key in keys:
            event = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
            text = {"text": "\r"} if key == "Enter" else {}
            self.call("Input.dispatchKeyEvent", type="keyDown", **event, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def picture(self, path: Path) -> None:
        """The whole page as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        found = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def chromium() -> Iterator[Tab]:
    """A tab of a browser that runs as long as the context."""
    assert CHROMIUM is not None
    its_in, send = os.pipe()
    receive, its_out = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = [
            "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
            "--disable-features=IsolateSandboxedIframes",  # so that one session reaches all frames
            "--no-first-run", "--disable-dev-shm-usage", "--disable-background-networking",
            f"--user-data-dir={profile}",
        ]  # fmt: skip
        # Chromium reads from descriptor 3 and writes to descriptor 4.
        shell = f'exec "$0" "$@" 3<&{its_in} 4>&{its_out}'
        process = subprocess.Popen(
            ["bash", "-c", shell, CHROMIUM, *options],
            pass_fds=(its_in, its_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(its_in)
        os.close(its_out)
        try:
            yield Tab(send, receive)
        finally:
            os.close(send)
            os.close(receive)
            process.terminate()
            process.wait(timeout=20)
            time.sleep(0.1)  # its children let go of the profile
