"""Visits servers with FastMCP's client; the mode is `legacy`, `auto` or a revision. See README.md beside it."""

import asyncio

from common import answer_form, main, text_of
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport


async def visit(plan: dict, mode: str) -> dict:
    transport = StreamableHttpTransport(plan["url"], headers={"Authorization": f"Bearer {plan['token']}"})
    async with Client(transport, mode=mode, elicitation_handler=elicit) as client:
        return {"protocolVersion": client.session.protocol_version, **await look_around(client, plan)}


async def look_around(client: Client, plan: dict) -> dict:
    seen = {"tools": sorted(tool.name for tool in await client.list_tools())}
    for what in ("call", "elicit"):
        if what in plan:
            result = await client.call_tool(plan[what]["name"], plan[what]["arguments"])
            seen[what] = text_of(result.content)
    if "resource" in plan:
        seen["resources"] = [str(resource.uri) for resource in await client.list_resources()]
        seen["resource"] = (await client.read_resource(plan["resource"]))[0].text
    if "prompt" in plan:
        seen["prompts"] = [prompt.name for prompt in await client.list_prompts()]
        seen["prompt"] = (await client.get_prompt(plan["prompt"])).messages[0].content.text
    return seen


async def elicit(_message, _response_type, params, _context) -> dict:
    return answer_form(params.requested_schema)


if __name__ == "__main__":
    asyncio.run(main(visit))
