"""Claude Code at a gateway: adds it by its URL, logs in, calls a tool, and logs out.

    HUMAN='["node", "human.mjs", …]' python claude_code.py --tool NAME [--client-id ID --callback-port PORT] [--document URL] URL

It has a home of its own, and a proxy where nobody listens for what is not on this machine. It has no account: what
would be its model is a stand-in on loopback that has it call the tool and repeat what that says. Prints the output
of each step: `{"before", "login", "connected", "said", "logout", "after"}`, and `browser`, what the human saw.
"""

import argparse
import json
import os
import pty
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CLAUDE = Path(__file__).parents[1] / "node_modules/.bin/claude"
# As browsers are told where to go by `BROWSER`: one argument, the URL. It outlives who started it, as they do, and
# ends at the callback that the URL names.
BROWSER = """#!{python}
import json, os, subprocess, sys
from urllib.parse import parse_qs, urlsplit
if os.fork():
    os._exit(0)
os.setsid()
callback = parse_qs(urlsplit(sys.argv[1]).query)["redirect_uri"][0]
with open({seen!r} + ".new", "wb") as seen:
    subprocess.run([*json.loads(os.environ["HUMAN"]), "--until", callback, sys.argv[1]], stdout=seen, stderr=seen)
os.rename(seen.name, {seen!r})
"""


class Model(BaseHTTPRequestHandler):
    """Asks for the tool, and says what it said (the Messages API, as a stream)."""

    tool = ""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        blocks = [block for message in asked["messages"] for block in message["content"] if isinstance(block, dict)]
        results = [block["content"] for block in blocks if block["type"] == "tool_result"]
        if results:
            text = {"type": "text_delta", "text": f"The tool said: {json.dumps(results[-1])}"}
            events = self.events({"type": "text", "text": ""}, text, "end_turn")
        else:
            use = {"type": "tool_use", "id": "toolu_1", "name": self.tool, "input": {}}
            events = self.events(use, {"type": "input_json_delta", "partial_json": "{}"}, "tool_use")
        lines = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        self.answer(200, "text/event-stream", "".join(lines).encode())

    def do_GET(self):
        self.answer(404, "application/json", b"{}")

    do_HEAD = do_GET

    def events(self, block, delta, reason):
        usage = {"input_tokens": 1, "output_tokens": 1}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "stand-in", "content": []}
        return [
            {"type": "message_start", "message": {**message, "stop_reason": None, "usage": usage}},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage},
            {"type": "message_stop"},
        ]

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class ClaudeCode:
    """The program, at home in `home`."""

    def __init__(self, home, model):
        self.home, self.browsed = home, home / "browsed.json"
        browser = home / "browser"
        browser.write_text(BROWSER.format(python=sys.executable, seen=str(self.browsed)))
        browser.chmod(0o700)
        nowhere = "http://127.0.0.1:9"
        self.environment = {
            "PATH": os.defpath,
            "HOME": str(home),
            "HUMAN": os.environ["HUMAN"],
            "BROWSER": str(browser),
            "TERM": "dumb",
            "ANTHROPIC_BASE_URL": model,
            "ANTHROPIC_API_KEY": "none",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "HTTPS_PROXY": nowhere,
            "HTTP_PROXY": nowhere,
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def run(self, *arguments):
        done = subprocess.run([CLAUDE, *arguments], **self.place(), stdin=subprocess.DEVNULL, capture_output=True)
        return (done.stdout + done.stderr).decode()

    def run_at_terminal(self, *arguments):
        """Logging in wants a terminal."""
        ours, its = pty.openpty()
        process = subprocess.Popen([CLAUDE, *arguments], **self.place(timeout=False), stdin=its, stdout=its, stderr=its)
        os.close(its)
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        said = b""
        try:
            while chunk := os.read(ours, 4096):
                said += chunk
        except OSError:  # how Linux says that the other side is closed
            pass
        process.wait()
        timer.cancel()
        os.close(ours)
        return said.decode(errors="replace")

    def browser(self):
        """What the human saw, who may be at it still."""
        for _ in range(100):
            if self.browsed.exists():
                return json.loads(self.browsed.read_text())
            time.sleep(0.1)
        return None

    def place(self, timeout=True):
        return {"cwd": self.home, "env": self.environment, **({"timeout": PATIENCE} if timeout else {})}


PATIENCE = 40


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tool", required=True)
    parser.add_argument("--client-id")
    parser.add_argument("--callback-port")
    parser.add_argument("--document", help="the URL of its metadata document, instead of its makers'")
    parser.add_argument("url")
    options = parser.parse_args()
    Model.tool = f"mcp__narthex__{options.tool}"
    model = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as home:
        claude = ClaudeCode(Path(home), f"http://127.0.0.1:{model.server_port}")
        if options.document:
            claude.environment["MCP_OAUTH_CLIENT_METADATA_URL"] = options.document
        seen = visit(claude, options)
        seen["browser"] = claude.browser()
    print(json.dumps(seen))


def visit(claude, options):
    known = ["--client-id", options.client_id] if options.client_id else []
    known += ["--callback-port", options.callback_port] if options.callback_port else []
    added = claude.run("mcp", "add", "--transport", "http", *known, "narthex", options.url)
    before = claude.run("mcp", "list")
    login = claude.run_at_terminal("mcp", "login", "narthex")
    connected = claude.run("mcp", "list")
    said = claude.run("-p", "Call the tool.", "--allowedTools", Model.tool)
    logout = claude.run("mcp", "logout", "narthex")
    return {
        "added": added,
        "before": before,
        "login": login,
        "connected": connected,
        "said": said,
        "logout": logout,
        "after": claude.run("mcp", "list"),
    }


main()
