import pytest_twisted
from tests.tenants.test_walk import World
@pytest_twisted.ensureDeferred
async def test_x(tmp_path):
    w=World(tmp_path); await w.start()
    ids=[r.id for r in w.house.gateway.registry.list("datasource")]
    for q in (*ids, "0f30d607a9542e39","zz", "lamp", "0f30d607a9542e39"):
        a=await w.house.ok(w.admin,"GET",f"/devices?datasource={q}")
        print("Q",q,[i["name"] for i in a["items"]])
    print({t:{d:(o.datasource) for d,o in x.items()} for t,x in w.house.gateway.speakers._owners.items()})
