"""Visits servers with the Python SDK before 2026-07-28. See README.md beside it."""

import asyncio

from common import SAMPLED, Ears, answer_form, main, text_of
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import CreateMessageResult, ElicitResult, PromptReference, TextContent
from pydantic import AnyUrl


async def visit(plan: dict, _mode: str) -> dict:
    headers = {"Authorization": f"Bearer {plan['token']}"}
    ears = Ears()
    async with streamablehttp_client(plan["url"], headers=headers) as (read, write, _):
        async with ClientSession(
            read, write, elicitation_callback=elicit, sampling_callback=sample, message_handler=ears.listen
        ) as session:
            opened = await session.initialize()
            seen = await look_around(session, plan)
            return {"protocolVersion": opened.protocolVersion, **seen, **await listen(session, plan, ears)}


async def look_around(session: ClientSession, plan: dict) -> dict:
    seen = {"tools": sorted(tool.name for tool in (await session.list_tools()).tools)}
    for what in ("call", "elicit", "sample"):
        if what in plan:
            result = await session.call_tool(plan[what]["name"], plan[what]["arguments"])
            seen[what] = text_of(result.content)
    if "resource" in plan:
        seen["resources"] = [str(resource.uri) for resource in (await session.list_resources()).resources]
        seen["resource"] = (await session.read_resource(plan["resource"])).contents[0].text
    if "prompt" in plan:
        seen["prompts"] = [prompt.name for prompt in (await session.list_prompts()).prompts]
        seen["prompt"] = (await session.get_prompt(plan["prompt"])).messages[0].content.text
    if "complete" in plan:
        reference = PromptReference(type="ref/prompt", name=plan["complete"]["prompt"])
        seen["complete"] = (await session.complete(reference, plan["complete"]["argument"])).completion.values
    return seen


async def listen(session: ClientSession, plan: dict, ears: Ears) -> dict:
    seen = {}
    if "changes" in plan:
        seen["changes"] = await ears.hear("tools", lambda: session.call_tool(plan["changes"]["tool"]))
    if "updates" in plan:
        await session.subscribe_resource(AnyUrl(plan["updates"]["uri"]))
        act = lambda: session.call_tool(plan["updates"]["tool"])
        seen["updates"] = await ears.hear(plan["updates"]["uri"], act)
    return seen


async def elicit(_context, params) -> ElicitResult:
    return ElicitResult(action="accept", content=answer_form(params.requestedSchema))


async def sample(_context, _params) -> CreateMessageResult:
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text=SAMPLED), model="none")


if __name__ == "__main__":
    asyncio.run(main(visit))
