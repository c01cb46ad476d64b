"""A server made with FastMCP, for every revision.

    .venv-fastmcp/bin/python visit/fastmcp_server.py --port 3106
"""

import argparse

from fastmcp import Context, FastMCP
from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult

mcp = FastMCP("narthex-fastmcp")

WORD = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}


@mcp.tool
def greet(name: str) -> str:
    """Greets."""
    return f"Hello, {name}!"


@mcp.tool
async def ask(ctx: Context) -> str | InputRequiredResult:
    """Asks for a word, in the way of the client's era."""
    if ctx.session.protocol_version < "2026-07-28":
        return f"You said {(await ctx.elicit('A word, please', str)).data}."
    answer = (ctx.input_responses or {}).get("word")
    if isinstance(answer, ElicitResult):
        return f"You said {answer.content['word']}."
    question = ElicitRequestFormParams(message="A word, please", requested_schema=WORD)
    return InputRequiredResult(input_requests={"word": ElicitRequest(params=question)})


@mcp.resource("test://static-text")
def static_text() -> str:
    """A text."""
    return "A text of FastMCP."


@mcp.resource("fastmcp://text")
def own_text() -> str:
    """A text that no other server has."""
    return "A text of FastMCP alone."


@mcp.prompt
def simple() -> str:
    """A prompt."""
    return "A prompt of FastMCP."


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    mcp.run(transport="http", host="127.0.0.1", port=port, path="/mcp", log_level="error", show_banner=False)
