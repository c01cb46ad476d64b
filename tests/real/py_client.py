"""A real MCP client (the Python SDK): connects, lists the tools, calls one, prints what it saw as JSON.

    .venv/bin/python py_client.py URL [--token TOKEN] [--mode legacy|auto|2026-07-28]
                                  [--tool NAME] [--arguments JSON]

With NARTHEX_TOKEN in the environment, --token may be left out.
"""

import argparse
import asyncio
import json
import os
import sys

from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client


async def main() -> int:
    options = parse_options()
    headers = {"Authorization": f"Bearer {options.token}"} if options.token else {}
    async with create_mcp_http_client(headers=headers) as http_client:
        transport = streamable_http_client(options.url, http_client=http_client)
        async with Client(transport, mode=options.mode) as client:
            print(json.dumps(await visit(client, options), sort_keys=True))
    return 0


async def visit(client: Client, options: argparse.Namespace) -> dict:
    seen = {
        "protocolVersion": client.protocol_version,
        "tools": sorted(tool.name for tool in (await client.list_tools()).tools),
    }
    if options.tool:
        result = await client.call_tool(options.tool, options.arguments)
        seen["result"] = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    return seen


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--token", default=os.environ.get("NARTHEX_TOKEN"))
    parser.add_argument("--mode", default="auto")
    parser.add_argument("--tool")
    parser.add_argument("--arguments", type=json.loads, default={})
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except* Exception as failures:
        print(json.dumps({"errors": [repr(failure) for failure in failures.exceptions]}))
        sys.exit(1)
