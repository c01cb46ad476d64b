"""A server of 2025-11-25 whose tools only run as tasks (the Python SDK before 2026-07-28).

    .venv-legacy/bin/python tasks/python_1_server.py --port 3109
"""

import argparse
import asyncio
import contextlib

import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.types import TASK_REQUIRED, CallToolResult, TextContent, Tool, ToolExecution
from starlette.applications import Starlette
from starlette.routing import Mount

server = Server("narthex-tasks")
server.experimental.enable_tasks()

WORD = {"type": "object", "properties": {"value": {"type": "string"}}, "required": ["value"]}


@server.list_tools()
async def list_tools() -> list[Tool]:
    execution = ToolExecution(taskSupport=TASK_REQUIRED)
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    return [Tool(name=name, inputSchema=schema, execution=execution) for name in WORK]


@server.call_tool()
async def call_tool(name: str, arguments: dict):
    context = server.request_context
    context.experimental.validate_task_mode(TASK_REQUIRED)

    async def work(task) -> CallToolResult:
        return text(await WORK[name](task, arguments))

    return await context.experimental.run_task(work)


async def slow(_task, arguments: dict) -> str:
    await asyncio.sleep(0.3)
    return f"Hello, {arguments['name']}!"


async def ask(task, _arguments: dict) -> str:
    answer = await task.elicit(message="A word, please", requestedSchema=WORD)
    return f"You said {answer.content['value']}."


async def fail(_task, _arguments: dict) -> str:
    raise ValueError("burnt")


async def endless(_task, _arguments: dict) -> str:
    await asyncio.sleep(3600)
    return "never"


WORK = {"slow": slow, "ask": ask, "fail": fail, "endless": endless}


def text(said: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=said)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    manager = StreamableHTTPSessionManager(server)

    @contextlib.asynccontextmanager
    async def lifespan(_app):
        async with manager.run():
            yield

    app = Starlette(routes=[Mount("/mcp", app=manager.handle_request)], lifespan=lifespan)

    async def mounted(scope, receive, send):
        # A mount answers `/mcp` with a redirect to `/mcp/`.
        if scope["type"] == "http" and scope["path"] == "/mcp":
            return await manager.handle_request(scope, receive, send)
        return await app(scope, receive, send)

    uvicorn.run(mounted, host="127.0.0.1", port=port, log_level="error")
