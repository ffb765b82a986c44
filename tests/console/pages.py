"""The pages of the console, by name: what stands behind the ``#/``. ``{words}`` are things of the scene."""

PAGES = {
    "overview": "overview",
    "messages": "messages",
    "message": "messages/{failed}",
    "message-delivered": "messages/{delivered}",
    "failures": "failures",
    "failure": "failures/{group}",
    "converters": "converters",
    "library": "converters?tab=library",
    "converter": "converters/thermometer?group={group}",
    "versions": "converters/thermometer?tab=versions",
    "datasources": "datasources",
    "datasource": "datasources/thermo",
    "datasource-settings": "datasources/thermo?tab=settings",
    "listen": "datasources/thermo?tab=listen",
    "connect": "connect",
    "connect-target": "connect/target",
    "new-datasource": "connect/datasource?type=tcp",
    "new-integration": "connect/integration?type=http",
    "new-preset": "connect/integration?preset=influxdb",
    "integrations": "integrations",
    "integration": "integrations/archive",
    "dead-letters": "integrations/billing?tab=dead",
    "integration-settings": "integrations/cloud?tab=settings",
    "devices": "devices",
    "devices-map": "devices?view=map",
    "device": "devices/kitchen",
    "device-messages": "devices/kitchen?tab=messages",
    "device-downlinks": "devices/kitchen?tab=downlinks",
    "device-settings": "devices/kitchen?tab=settings",
    "downlinks": "downlinks",
    "downlinks-many": "downlinks?tab=many",
    "credentials": "credentials",
    "credential": "credentials/cellar",
    "events": "events",
    "jobs": "jobs",
    "usage": "usage",
    "tokens": "tokens",
    "settings": "settings",
}


def named(where, scene):
    """A page's place with the scene's own ids in it."""
    if "{" not in where:
        return where
    gateway = scene.gateway
    groups = gateway.api("GET", "/failures?kind=conversion").json["items"]
    scripts = [each for each in groups if each["error"].get("line")]
    return where.format(
        failed=gateway.messages(state="failed", limit=1)[0]["id"],
        delivered=gateway.messages(datasource="tanks", limit=1)[0]["id"],
        group=scripts[0]["id"],
    )
