"""An aiocoap client as a program: ``aiocoap_client.py METHOD URL [PAYLOAD-FILE]``; the answer's payload goes
to standard output. ``OBSERVE`` prints three answers, one per line. (aiocoap's own program prints one.)"""

import asyncio
import sys
from pathlib import Path

import aiocoap

method, url = sys.argv[1:3]


async def main():
    context = await aiocoap.Context.create_client_context()
    if method == "OBSERVE":
        asked = context.request(aiocoap.Message(code=aiocoap.GET, uri=url, observe=0))
        answers = [await asked.response]
        async for answer in asked.observation:
            answers.append(answer)
            if len(answers) == 3:
                break
        print(*(answer.payload.decode() for answer in answers), sep="\n")
    else:
        kind = aiocoap.NON if method.startswith("NON-") else aiocoap.CON
        code = getattr(aiocoap, method.removeprefix("NON-"))
        body = Path(sys.argv[3]).read_bytes() if len(sys.argv) > 3 else b""
        message = aiocoap.Message(code=code, uri=url, payload=body, _mtype=kind)
        sys.stdout.buffer.write((await context.request(message).response).payload)
    await context.shutdown()


asyncio.run(asyncio.wait_for(main(), 100))
