"""Messages as modules send them, from one aiocoap context: ``aiocoap_odd.py HOST:PORT``, with a JSON list of messages on
standard input, each ``[METHOD, OPTIONS, PAYLOAD]`` with options as ``[NUMBER, TEXT or INTEGER]``. Each is sent as it stands
when the one before it is answered. Prints an answer per line: its code and its payload."""

import asyncio
import json
import sys

import aiocoap
from aiocoap.options import OptionNumber


def option(number, value):
    if number in (OptionNumber.URI_PATH, OptionNumber.LOCATION_PATH) or number > 100:
        return aiocoap.optiontypes.OpaqueOption(number, value.encode())
    made = OptionNumber(number).create_option()
    if number in (OptionNumber.BLOCK1, OptionNumber.BLOCK2):
        value = made.BlockwiseTuple(value >> 4, bool(value & 8), value & 7)
    made.value = value
    return made


async def main():
    context = await aiocoap.Context.create_client_context()
    for method, options, payload in json.load(sys.stdin):
        message = aiocoap.Message(code=getattr(aiocoap, method), payload=payload.encode())
        message.unresolved_remote = sys.argv[1]
        for number, value in options:
            message.opt.add_option(option(number, value))
        answer = await context.request(message, handle_blockwise=False).response
        print(answer.code.dotted, answer.payload.decode())
    await context.shutdown()


asyncio.run(asyncio.wait_for(main(), 100))
