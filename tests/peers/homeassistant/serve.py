"""Home Assistant with its MQTT integration and nothing that a person looks at: serve.py FOLDER BROKER_PORT HTTP_PORT

All states are published at the broker, too, below ``states/``.
"""

import asyncio
import sys

from homeassistant import bootstrap, config_entries, core, loader
from homeassistant.auth import auth_manager_from_config
from homeassistant.setup import async_setup_component

FOLDER, BROKER, HTTP = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


async def main():
    home = core.HomeAssistant(FOLDER)
    home.config.skip_pip = True
    loader.async_setup(home)
    config = {
        "http": {"server_host": ["127.0.0.1"], "server_port": HTTP},
        "mqtt_statestream": {"base_topic": "states", "publish_attributes": True},
    }
    home.config_entries = config_entries.ConfigEntries(home, config)
    await home.config_entries.async_initialize()
    await bootstrap.async_load_base_functionality(home)
    home.auth = await auth_manager_from_config(home, [], [])
    await async_setup_component(home, "http", config)
    entry = config_entries.ConfigEntry(
        version=1, minor_version=1, domain="mqtt", title="mqtt", source="user",
        data={"broker": "127.0.0.1", "port": BROKER, "discovery": True},
    )  # fmt: skip
    await home.config_entries.async_add(entry)
    await async_setup_component(home, "mqtt_statestream", config)
    await home.async_start()
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
