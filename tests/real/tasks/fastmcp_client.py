"""Runs tools as tasks with FastMCP's client of 2026-07-28, and prints what came of it as JSON.

    NARTHEX_TOKEN=… .venv-tasks/bin/python tasks/fastmcp_client.py URL
"""

import asyncio
import json
import os
import sys

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.exceptions import ToolError
from fastmcp_tasks.client import call_tool_task
from fastmcp_tasks.client_models import CancelTaskRequest, GetTaskRequest, UpdateTaskRequest

# SEP-2663 wants the task named in `Mcp-Name`, and the gateway insists; this client (4.1.4) forgets to have
# the SDK do it.
for request in (CancelTaskRequest, GetTaskRequest, UpdateTaskRequest):
    request.name_param = "taskId"


async def main() -> None:
    headers = {"Authorization": f"Bearer {os.environ['NARTHEX_TOKEN']}"}
    transport = StreamableHttpTransport(sys.argv[1], headers=headers)
    async with Client(transport, mode="2026-07-28", elicitation_handler=elicit) as client:
        print(json.dumps({"revision": client.session.protocol_version, **await use(client)}))


async def use(client: Client) -> dict:
    seen = {}
    task = await call_tool_task(client, "slow", {"name": "you"})
    seen["created"] = task.create_result.status
    seen["slow"] = (await task.result()).content[0].text
    seen["ended"] = (await task.status()).status
    seen["waited"] = (await client.call_tool("slow", {"name": "me"})).content[0].text
    seen["ask"] = (await client.call_tool("ask", {})).content[0].text
    try:
        await client.call_tool("fail", {})
    except ToolError as error:
        seen["fail"] = str(error)
    task = await call_tool_task(client, "endless", {})
    await task.cancel()
    seen["cancelled"] = (await task.wait()).status
    return seen


async def elicit(_message, _response_type, _params, _context) -> dict:
    return {"value": "word"}


if __name__ == "__main__":
    asyncio.run(main())
