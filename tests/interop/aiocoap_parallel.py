"""Two POSTs at the same time from one aiocoap context: ``aiocoap_parallel.py URL FILE FILE``; prints the codes
of the answers. (aiocoap takes a new token for every block, and sends no Request-Tag.)"""

import asyncio
import sys
from pathlib import Path

import aiocoap

url, *files = sys.argv[1:]


async def main():
    context = await aiocoap.Context.create_client_context()
    messages = [
        aiocoap.Message(code=aiocoap.POST, uri=url, payload=Path(file).read_bytes()) for file in files
    ]
    answers = await asyncio.gather(*(context.request(message).response for message in messages))
    print(*(answer.code.dotted for answer in answers))
    await context.shutdown()


asyncio.run(asyncio.wait_for(main(), 15))
