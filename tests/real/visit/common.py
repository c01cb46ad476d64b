"""What the Python visitors share."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Awaitable, Callable

PATIENCE = 20  # seconds
SAMPLED = "A word of the model."

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


class Ears:
    """What a client is told of: `tools` for their list, or the URI of a resource."""

    def __init__(self) -> None:
        self._heard: dict[str, asyncio.Event] = {}

    async def listen(self, message: object) -> None:
        notification = getattr(message, "root", message)
        match getattr(notification, "method", None):
            case "notifications/tools/list_changed":
                self._of("tools").set()
            case "notifications/resources/updated":
                self._of(str(notification.params.uri)).set()

    async def hear(self, what: str, act: Callable[[], Awaitable[object]]) -> str:
        """Acts, and acts again, until it is told of `what`."""
        while not self._of(what).is_set():
            await act()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._of(what).wait(), 1)
        return what

    def _of(self, what: str) -> asyncio.Event:
        return self._heard.setdefault(what, asyncio.Event())


def answer_form(schema: dict) -> dict:
    """What a person who fills in only what is required would say."""
    values = {"boolean": True, "integer": 7, "number": 7}
    properties = schema.get("properties", {})
    return {name: values.get(properties[name].get("type"), "word") for name in schema.get("required", [])}
