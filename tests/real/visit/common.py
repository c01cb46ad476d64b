"""What the Python visitors share."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable

PATIENCE = 10  # seconds

Visit = Callable[[dict, str], Awaitable[dict]]


async def main(visit: Visit) -> None:
    """Makes the visits of $VISITS in the mode of the first argument; prints what was seen at each."""
    plans, mode = json.loads(os.environ["VISITS"]), sys.argv[1]
    print(json.dumps([await attempt(visit, plan, mode) for plan in plans]))


async def attempt(visit: Visit, plan: dict, mode: str) -> dict:
    try:
        return await asyncio.wait_for(visit(plan, mode), PATIENCE)
    except Exception as error:
        return {"error": "; ".join(reasons(error))}


def reasons(error: BaseException) -> list[str]:
    """The errors inside of groups of errors."""
    if isinstance(error, BaseExceptionGroup):
        return [reason for inner in error.exceptions for reason in reasons(inner)]
    return [repr(error)]


def text_of(content: list) -> str:
    return "\n".join(getattr(item, "text", "") for item in content)


def answer_form(schema: dict) -> dict:
    """What a person who fills in only what is required would say."""
    values = {"boolean": True, "integer": 7, "number": 7}
    properties = schema.get("properties", {})
    return {name: values.get(properties[name].get("type"), "word") for name in schema.get("required", [])}
