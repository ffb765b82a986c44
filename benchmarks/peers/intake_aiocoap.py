"""aiocoap as it comes: a resource that answers each POST with an empty 2.04.   python intake_aiocoap.py PORT"""

import asyncio
import sys

import aiocoap
from aiocoap import resource


class Up(resource.Resource):
    """POST /up."""

    async def render_post(self, request):
        """Say 2.04."""
        return aiocoap.Message(code=aiocoap.CHANGED)


async def main() -> None:
    """Serve until killed."""
    site = resource.Site()
    site.add_resource(["up"], Up())
    await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", int(sys.argv[1])))
    await asyncio.get_running_loop().create_future()


asyncio.run(main())
