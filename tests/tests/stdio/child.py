"""An MCP server over standard input and output that does as its tools are told, good or bad."""

import json
import os
import signal
import subprocess
import sys
import time

held = []


def send(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def note(method, params):
    send({"jsonrpc": "2.0", "method": method, "params": params})


def answer(id, text):
    send({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": str(text)}]}})


def family(count):
    """Starts so many processes that try to get away, and gives their ids."""
    code = "import os,signal,time\nos.setsid()\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    code += "if os.fork(): os._exit(0)\nprint(os.getpid(), flush=True)\nos.close(1)\ntime.sleep(1000)"
    pids = []
    for _ in range(count):
        started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        pids.append(int(started.stdout.readline()))
        started.wait()
    return pids


def open_files():
    files = []
    try:
        while len(files) < 100_000:
            files.append(open("/dev/null"))
    except OSError:
        pass
    count = len(files)
    for file in files:
        file.close()
    return count


def call(id, name, arguments, meta):
    if name == "echo":
        answer(id, arguments.get("text"))
    elif name == "env":
        answer(id, json.dumps(dict(os.environ)))
    elif name == "argv":
        answer(id, json.dumps([open(f"/proc/{pid}/cmdline").read() for pid in (os.getpid(), os.getppid())]))
    elif name == "pid":
        answer(id, os.getpid())
    elif name == "fds":
        answer(id, json.dumps(sorted(int(fd) for fd in os.listdir("/proc/self/fd"))))
    elif name == "files":
        answer(id, open_files())
    elif name == "family":
        answer(id, json.dumps(family(3)))
    elif name == "die":
        os._exit(7)
    elif name == "hold":
        held.append((id, arguments["text"]))
        if len(held) >= arguments["count"]:
            for id, text in reversed(held):
                answer(id, text)
            held.clear()
    elif name == "chatter":
        # Says things to everybody, of which some belong to this caller.
        note("notifications/message", {"level": "emergency", "data": arguments["secret"]})
        note("notifications/progress", {"progressToken": meta.get("progressToken"), "progress": 1, "message": arguments["secret"]})
        note("notifications/progress", {"progressToken": "p999999", "progress": 1})
        send({"jsonrpc": "2.0", "id": 424242, "result": {"content": [{"type": "text", "text": arguments["secret"]}]}})
        send({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": {"message": arguments["secret"], "requestedSchema": {"type": "object", "properties": {}}}})
        reply = json.loads(sys.stdin.readline())
        answer(id, "error" in reply)
    elif name == "flood":
        for n in range(arguments["lines"]):
            note("notifications/message", {"level": "info", "data": "x" * 1000})
        answer(id, "flooded")
    elif name == "noise":
        for n in range(arguments["lines"]):
            print("noise", n, "\x1b[31m")
        print("", flush=True)
        answer(id, "after the noise")
    elif name == "stderr":
        for n in range(arguments["lines"]):
            sys.stderr.write(f"line {n} \x1b[31m {os.environ.get('TOKEN')}\n")
        sys.stderr.write("y" * 3_000_000 + "\n")
        sys.stderr.flush()
        answer(id, "after the flood")
    elif name == "long":
        block = "z" * 65536
        sys.stdout.write('{"jsonrpc":"2.0","id":1,"result":{"x":"')
        for _ in range(arguments["mib"] * 16):
            sys.stdout.write(block)
        sys.stdout.write('"}}\n')
        sys.stdout.flush()
    elif name == "eat":
        eaten = []
        for _ in range(200):
            eaten.append(b"\1" * (4 << 20))
            time.sleep(0.02)
        time.sleep(1000)
    elif name == "spin":
        while True:
            pass
    elif name == "deaf":
        time.sleep(1000)
    elif name == "silent":
        pass
    else:
        send({"jsonrpc": "2.0", "id": id, "error": {"code": -32602, "message": "no such tool"}})


def main():
    if "exit" in sys.argv:
        sys.exit(3)
    if "stubborn" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "banner" in sys.argv:
        print("Welcome to the server\n\n{not json}\n[1,2]", flush=True)
    if "counted" in sys.argv:
        with open(sys.argv[-1], "a") as log:
            log.write("started\n")
    log = open(os.environ["HEARD"], "a") if "HEARD" in os.environ else None
    for line in sys.stdin:
        if log:
            log.write(line)
            log.flush()
        message = json.loads(line)
        id, method, params = message.get("id"), message.get("method"), message.get("params", {})
        if method == "initialize":
            capabilities = {"tools": {"listChanged": True}, "logging": {}, "tasks": {"list": {}}}
            info = {"name": "child", "version": "1"}
            send({"jsonrpc": "2.0", "id": id, "result": {"protocolVersion": params["protocolVersion"], "capabilities": capabilities, "serverInfo": info}})
        elif method == "tools/list":
            names = ["echo", "pid", "env"]
            tools = [{"name": name, "inputSchema": {"type": "object"}} for name in names]
            send({"jsonrpc": "2.0", "id": id, "result": {"tools": tools}})
        elif method == "tools/call":
            call(id, params["name"], params.get("arguments", {}), params.get("_meta", {}))
        elif id is not None and method is not None:
            send({"jsonrpc": "2.0", "id": id, "result": {}})
    while "stubborn" in sys.argv or "lingering" in sys.argv:
        time.sleep(1)


main()
