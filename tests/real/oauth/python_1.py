"""The Python SDK's client before 2026-07-28, which logs in by itself. See README.md beside it."""

import common
import httpx
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata


async def visit(desk):
    plan = desk.plan
    given = plan.get("client")
    storage = common.Storage(
        OAuthClientInformationFull.model_validate({**common.metadata(desk), **given}) if given else None
    )

    async def answer():
        query = await desk.query()
        return query["code"], query.get("state")

    provider = OAuthClientProvider(
        server_url=plan["url"],
        client_metadata=OAuthClientMetadata.model_validate(common.metadata(desk)),
        storage=storage,
        redirect_handler=desk.send,
        callback_handler=answer,
        client_metadata_url=plan.get("clientMetadataUrl"),
    )
    async with httpx.AsyncClient(auth=provider, timeout=30) as http_client:
        async with streamable_http_client(plan["url"], http_client=http_client) as (read, write, _):
            async with ClientSession(read, write) as session:
                started = await session.initialize()
                seen = {"protocolVersion": started.protocolVersion, **await look(session, plan)}
                for _ in range(plan.get("again", 0)):
                    provider.context.token_expiry_time = 1
                    seen["call"] = (await look(session, plan))["call"]
    return {**seen, "registered": storage.client.client_id, "scope": storage.tokens.scope}


async def look(session, plan):
    tools = sorted(tool.name for tool in (await session.list_tools()).tools)
    result = await session.call_tool(plan["call"]["name"], plan["call"].get("arguments", {}))
    return {"tools": tools, "call": "\n".join(getattr(item, "text", "") for item in result.content)}


common.run(visit)
