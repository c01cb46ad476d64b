"""What both Python SDKs' clients need to log in by themselves: storage, a callback, a human. See README.md."""

import asyncio
import json
import os
from urllib.parse import parse_qs, urlsplit


class Storage:
    """Tokens and registration, in memory."""

    def __init__(self, client=None):
        self.tokens, self.client = None, client

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


class Desk:
    """The callback on loopback, and the human who is sent to the authorization page."""

    def __init__(self, plan):
        self.plan = plan
        self.answered = asyncio.get_running_loop().create_future()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.take, "127.0.0.1", self.plan.get("callback", 0))
        self.redirect = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/callback"
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def take(self, reader, writer):
        target = (await reader.readline()).split()[1].decode()
        query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nDone.")
        await writer.drain()
        writer.close()
        if ("code" in query or "error" in query) and not self.answered.done():
            self.answered.set_result(query)

    async def send(self, url):
        command = [*self.plan["human"], "--until", self.redirect, url]
        human = await asyncio.create_subprocess_exec(*command, stdout=2)
        if await human.wait() != 0:
            self.answered.set_exception(RuntimeError("the human gave up"))

    async def query(self):
        return await asyncio.wait_for(self.answered, 60)


def metadata(desk):
    plan = desk.plan
    return {
        "client_name": "Python visitor",
        "redirect_uris": [desk.redirect],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        **({"scope": plan["scope"]} if "scope" in plan else {}),
    }


def run(visit):
    plan = json.loads(os.environ["OAUTH"])

    async def main():
        async with Desk(plan) as desk:
            return await visit(desk)

    try:
        seen = asyncio.run(main())
    except BaseException as error:  # noqa: BLE001: groups of exceptions, too, are to be told
        seen = {"error": describe(error)}
    print(json.dumps(seen))


def describe(error):
    inner = getattr(error, "exceptions", None)
    return [describe(each) for each in inner] if inner else repr(error)
