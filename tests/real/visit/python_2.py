"""Visits servers with the Python SDK; the mode is `legacy`, `auto` or a revision. See README.md beside it."""

import asyncio

from common import answer_form, main, text_of
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.types import ElicitResult


async def visit(plan: dict, mode: str) -> dict:
    headers = {"Authorization": f"Bearer {plan['token']}"}
    async with create_mcp_http_client(headers=headers) as http_client:
        transport = streamable_http_client(plan["url"], http_client=http_client)
        async with Client(transport, mode=mode, elicitation_callback=elicit) as client:
            return {"protocolVersion": client.protocol_version, **await look_around(client, plan)}


async def look_around(client: Client, plan: dict) -> dict:
    seen = {"tools": sorted(tool.name for tool in (await client.list_tools()).tools)}
    for what in ("call", "elicit"):
        if what in plan:
            result = await client.call_tool(plan[what]["name"], plan[what]["arguments"])
            seen[what] = text_of(result.content)
    if "resource" in plan:
        seen["resources"] = [str(resource.uri) for resource in (await client.list_resources()).resources]
        seen["resource"] = (await client.read_resource(plan["resource"])).contents[0].text
    if "prompt" in plan:
        seen["prompts"] = [prompt.name for prompt in (await client.list_prompts()).prompts]
        seen["prompt"] = (await client.get_prompt(plan["prompt"])).messages[0].content.text
    return seen


async def elicit(_context, params) -> ElicitResult:
    return ElicitResult(action="accept", content=answer_form(params.requested_schema))


if __name__ == "__main__":
    asyncio.run(main(visit))
