"""Runs tools as tasks with the Python SDK before 2026-07-28, and prints what came of it as JSON.

    NARTHEX_TOKEN=… .venv-legacy/bin/python tasks/python_1_client.py URL
"""

import asyncio
import json
import os
import sys

from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import CallToolResult, ElicitResult


async def main() -> None:
    headers = {"Authorization": f"Bearer {os.environ['NARTHEX_TOKEN']}"}
    async with streamablehttp_client(sys.argv[1], headers=headers) as (read, write, _):
        async with ClientSession(read, write, elicitation_callback=elicit) as session:
            opened = await session.initialize()
            offered = opened.capabilities.tasks.requests.tools.call is not None
            print(json.dumps({"revision": opened.protocolVersion, "offered": offered, **await use(session)}))


async def use(session: ClientSession) -> dict:
    tasks = session.experimental
    tools = (await session.list_tools()).tools
    seen = {"support": sorted({tool.execution.taskSupport for tool in tools})}

    async def result_of(tool: str, arguments: dict) -> CallToolResult:
        created = await tasks.call_tool_as_task(tool, arguments)
        seen["created"] = created.task.status
        return await tasks.get_task_result(created.task.taskId, CallToolResult)

    created = await tasks.call_tool_as_task("slow", {"name": "you"})
    async for status in tasks.poll_task(created.task.taskId):
        seen["ended"] = status.status
    seen["slow"] = (await tasks.get_task_result(created.task.taskId, CallToolResult)).content[0].text
    seen["ask"] = (await result_of("ask", {})).content[0].text
    try:
        failed = await result_of("fail", {})
        seen["fail"] = failed.content[0].text if failed.isError else None
    except McpError as error:
        seen["fail"] = str(error)
    created = await tasks.call_tool_as_task("endless", {})
    seen["cancelled"] = (await tasks.cancel_task(created.task.taskId)).status
    return seen


async def elicit(_context, _params) -> ElicitResult:
    return ElicitResult(action="accept", content={"value": "word"})


if __name__ == "__main__":
    asyncio.run(main())
