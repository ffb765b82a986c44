"""A device on aiocoap as a program: ``aiocoap_device.py PORT``. It takes downlinks and can be observed.

``/downlink`` answers with what it got, reversed; ``/silent`` acknowledges and never answers; ``/clock`` changes five
times a second; ``/large`` is of 3,000 bytes that change once a second; ``/short`` ends with its third notification."""

import asyncio
import sys

import aiocoap
from aiocoap import resource


class Downlink(resource.Resource):
    async def render_post(self, request):
        return aiocoap.Message(code=aiocoap.CHANGED, payload=request.payload[::-1], content_format=42)


class Silent(resource.Resource):
    async def render_post(self, request):
        await asyncio.Event().wait()


class Changing(resource.ObservableResource):
    def __init__(self, every, size=0, last=None):
        super().__init__()
        self.count = 0
        self.size = size
        self.last = last
        self.every = every
        self.task = asyncio.get_running_loop().create_task(self.change())

    async def change(self):
        while True:
            await asyncio.sleep(self.every)
            self.count += 1
            if self.last is not None and self.count > self.last:
                self.updated_state(aiocoap.Message(code=aiocoap.NOT_FOUND))
            else:
                self.updated_state()

    async def render_get(self, request):
        return aiocoap.Message(payload=b"%d " % self.count + bytes(self.size))


async def main():
    site = resource.Site()
    site.add_resource(["downlink"], Downlink())
    site.add_resource(["silent"], Silent())
    site.add_resource(["clock"], Changing(0.2))
    site.add_resource(["large"], Changing(1.0, 3000))
    site.add_resource(["short"], Changing(0.5, 0, 2))
    await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", int(sys.argv[1])))
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
