"""The Python SDK's client, which logs in by itself. See README.md beside it."""

import sys

import common
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata

MODE = sys.argv[1] if len(sys.argv) > 1 else "auto"


async def visit(desk):
    plan = desk.plan
    given = plan.get("client")
    storage = common.Storage(
        OAuthClientInformationFull.model_validate({**common.metadata(desk), **given}) if given else None
    )

    async def answer():
        query = await desk.query()
        return AuthorizationCodeResult(
            **{key: query.get(key) for key in ("code", "state", "iss") if key in AuthorizationCodeResult.model_fields}
        )

    provider = OAuthClientProvider(
        server_url=plan["url"],
        client_metadata=OAuthClientMetadata.model_validate(common.metadata(desk)),
        storage=storage,
        redirect_handler=desk.send,
        callback_handler=answer,
        client_metadata_url=plan.get("clientMetadataUrl"),
    )
    async with create_mcp_http_client(auth=provider) as http_client:
        transport = streamable_http_client(plan["url"], http_client=http_client)
        async with Client(transport, mode=MODE) as client:
            seen = await look(client, plan)
            for _ in range(plan.get("again", 0)):
                provider.context.token_expiry_time = 1
                seen["call"] = (await look(client, plan))["call"]
    return {**seen, "registered": storage.client.client_id, "scope": storage.tokens.scope}


async def look(client, plan):
    tools = sorted(tool.name for tool in (await client.list_tools()).tools)
    result = await client.call_tool(plan["call"]["name"], plan["call"].get("arguments", {}))
    return {
        "protocolVersion": client.protocol_version,
        "tools": tools,
        "call": "\n".join(getattr(item, "text", "") for item in result.content),
    }


common.run(visit)
