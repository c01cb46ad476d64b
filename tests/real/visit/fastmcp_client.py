"""Visits servers with FastMCP's client; the mode is `legacy`, `auto` or a revision. See README.md beside it."""

import asyncio
import contextlib

from common import SAMPLED, Ears, answer_form, main, text_of
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from mcp.client import subscriptions
from mcp_types import PromptReference


async def visit(plan: dict, mode: str) -> dict:
    transport = StreamableHttpTransport(plan["url"], headers={"Authorization": f"Bearer {plan['token']}"})
    ears = Ears()
    async with Client(
        transport, mode=mode, elicitation_handler=elicit, sampling_handler=sample, message_handler=ears.listen
    ) as client:
        seen = await look_around(client, plan)
        return {"protocolVersion": client.session.protocol_version, **seen, **await listen(client, plan, ears)}


async def look_around(client: Client, plan: dict) -> dict:
    seen = {"tools": sorted(tool.name for tool in await client.list_tools())}
    for what in ("call", "elicit", "sample"):
        if what in plan:
            result = await client.call_tool(plan[what]["name"], plan[what]["arguments"])
            seen[what] = text_of(result.content)
    if "resource" in plan:
        seen["resources"] = [str(resource.uri) for resource in await client.list_resources()]
        seen["resource"] = (await client.read_resource(plan["resource"]))[0].text
    if "prompt" in plan:
        seen["prompts"] = [prompt.name for prompt in await client.list_prompts()]
        seen["prompt"] = (await client.get_prompt(plan["prompt"])).messages[0].content.text
    if "complete" in plan:
        reference = PromptReference(type="ref/prompt", name=plan["complete"]["prompt"])
        seen["complete"] = (await client.complete(reference, plan["complete"]["argument"])).values
    return seen


async def listen(client: Client, plan: dict, ears: Ears) -> dict:
    seen, session = {}, client.session
    modern = session.protocol_version >= "2026-07-28"
    listening = lambda **wanted: subscriptions.listen(session, **wanted) if modern else contextlib.nullcontext()
    if "changes" in plan:
        async with listening(tools_list_changed=True):
            seen["changes"] = await ears.hear("tools", lambda: client.call_tool(plan["changes"]["tool"]))
    if "updates" in plan:
        uri = plan["updates"]["uri"]
        if not modern:
            await session.subscribe_resource(uri)
        async with listening(resource_subscriptions=[uri]):
            seen["updates"] = await ears.hear(uri, lambda: client.call_tool(plan["updates"]["tool"]))
    return seen


async def elicit(_message, _response_type, params, _context) -> dict:
    return answer_form(params.requested_schema)


async def sample(_messages, _params, _context) -> str:
    return SAMPLED


if __name__ == "__main__":
    asyncio.run(main(visit))
