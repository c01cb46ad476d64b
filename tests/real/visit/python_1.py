"""Visits servers with the Python SDK before 2026-07-28. See README.md beside it."""

import asyncio

from common import answer_form, main, text_of
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import ElicitResult


async def visit(plan: dict, _mode: str) -> dict:
    headers = {"Authorization": f"Bearer {plan['token']}"}
    async with streamablehttp_client(plan["url"], headers=headers) as (read, write, _):
        async with ClientSession(read, write, elicitation_callback=elicit) as session:
            opened = await session.initialize()
            return {"protocolVersion": opened.protocolVersion, **await look_around(session, plan)}


async def look_around(session: ClientSession, plan: dict) -> dict:
    seen = {"tools": sorted(tool.name for tool in (await session.list_tools()).tools)}
    for what in ("call", "elicit"):
        if what in plan:
            result = await session.call_tool(plan[what]["name"], plan[what]["arguments"])
            seen[what] = text_of(result.content)
    if "resource" in plan:
        seen["resources"] = [str(resource.uri) for resource in (await session.list_resources()).resources]
        seen["resource"] = (await session.read_resource(plan["resource"])).contents[0].text
    if "prompt" in plan:
        seen["prompts"] = [prompt.name for prompt in (await session.list_prompts()).prompts]
        seen["prompt"] = (await session.get_prompt(plan["prompt"])).messages[0].content.text
    return seen


async def elicit(_context, params) -> ElicitResult:
    return ElicitResult(action="accept", content=answer_form(params.requestedSchema))


if __name__ == "__main__":
    asyncio.run(main(visit))
