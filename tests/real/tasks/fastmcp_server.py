"""A server of 2026-07-28 that runs tools as tasks (FastMCP with its tasks extension, kept in memory).

    .venv-tasks/bin/python tasks/fastmcp_server.py --port 3108
"""

import argparse
import asyncio

from fastmcp import Context, FastMCP
from fastmcp_tasks import TasksExtension
from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult

mcp = FastMCP("narthex-tasks")
mcp.add_extension(TasksExtension())

WORD = {"type": "object", "properties": {"value": {"type": "string"}}, "required": ["value"]}


@mcp.tool(task=True)
async def slow(name: str) -> str:
    """Greets, after a while."""
    await asyncio.sleep(0.3)
    return f"Hello, {name}!"


@mcp.tool(task=True)
async def ask(ctx: Context) -> str | InputRequiredResult:
    """Asks for a word."""
    answer = (ctx.input_responses or {}).get("word")
    if isinstance(answer, ElicitResult):
        return f"You said {answer.content['value']}."
    question = ElicitRequestFormParams(message="A word, please", requested_schema=WORD)
    return InputRequiredResult(input_requests={"word": ElicitRequest(params=question)})


@mcp.tool(task=True)
async def fail() -> str:
    """Fails."""
    raise ValueError("burnt")


@mcp.tool(task=True)
async def endless() -> str:
    """Does not end by itself."""
    await asyncio.sleep(3600)
    return "never"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    mcp.run(transport="http", host="127.0.0.1", port=port, path="/mcp", log_level="error", show_banner=False)
