"""Visits servers with the Python SDK; the mode is `legacy`, `auto` or a revision. See README.md beside it."""

import asyncio
import contextlib

from common import SAMPLED, Ears, answer_form, main, text_of
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.types import CreateMessageResult, ElicitResult, PromptReference, TextContent


async def visit(plan: dict, mode: str) -> dict:
    headers = {"Authorization": f"Bearer {plan['token']}"}
    async with create_mcp_http_client(headers=headers) as http_client:
        transport = streamable_http_client(plan["url"], http_client=http_client)
        ears = Ears()
        async with Client(
            transport, mode=mode, elicitation_callback=elicit, sampling_callback=sample, message_handler=ears.listen
        ) as client:
            seen = await look_around(client, plan)
            return {"protocolVersion": client.protocol_version, **seen, **await listen(client, plan, ears)}


async def look_around(client: Client, plan: dict) -> dict:
    seen = {"tools": sorted(tool.name for tool in (await client.list_tools()).tools)}
    for what in ("call", "elicit", "sample"):
        if what in plan:
            result = await client.call_tool(plan[what]["name"], plan[what]["arguments"])
            seen[what] = text_of(result.content)
    if "resource" in plan:
        seen["resources"] = [str(resource.uri) for resource in (await client.list_resources()).resources]
        seen["resource"] = (await client.read_resource(plan["resource"])).contents[0].text
    if "prompt" in plan:
        seen["prompts"] = [prompt.name for prompt in (await client.list_prompts()).prompts]
        seen["prompt"] = (await client.get_prompt(plan["prompt"])).messages[0].content.text
    if "complete" in plan:
        reference = PromptReference(type="ref/prompt", name=plan["complete"]["prompt"])
        seen["complete"] = (await client.complete(reference, plan["complete"]["argument"])).completion.values
    return seen


async def listen(client: Client, plan: dict, ears: Ears) -> dict:
    seen, modern = {}, client.protocol_version >= "2026-07-28"
    if "changes" in plan:
        async with client.listen(tools_list_changed=True) if modern else contextlib.nullcontext():
            seen["changes"] = await ears.hear("tools", lambda: client.call_tool(plan["changes"]["tool"]))
    if "updates" in plan:
        uri = plan["updates"]["uri"]
        if not modern:
            await client.subscribe_resource(uri)
        async with client.listen(resource_subscriptions=[uri]) if modern else contextlib.nullcontext():
            seen["updates"] = await ears.hear(uri, lambda: client.call_tool(plan["updates"]["tool"]))
    return seen


async def elicit(_context, params) -> ElicitResult:
    return ElicitResult(action="accept", content=answer_form(params.requested_schema))


async def sample(_context, _params) -> CreateMessageResult:
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text=SAMPLED), model="none")


if __name__ == "__main__":
    asyncio.run(main(visit))
