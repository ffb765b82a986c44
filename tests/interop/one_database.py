"""What several nodes on one database have stored, and what has arrived at their target."""

import json


class OneDatabase:
    """Looks into ``self.database`` of ``self.postgres``, and at ``self.sink``. Messages have numbers, which are told by device."""

    def asked(self, query):
        with self.postgres.connect(self.database) as connection:
            return connection.execute(query).fetchall()

    def stored(self):
        """The numbers in the journal."""
        found = {}
        for (payload,) in self.asked("SELECT payload FROM iotgw.uplink"):
            document = json.loads(payload)
            found.setdefault(document["deviceName"], set()).add(document["n"])
        return found

    def delivered(self):
        """The numbers that have arrived at the target, in their order."""
        found = {}
        for document in self.sink.documents:
            for entry in document["telemetry"]:
                found.setdefault(document["deviceName"], []).append(entry["values"]["n"])
        return found

    def arrived(self):
        return {device: set(numbers) for device, numbers in self.delivered().items()}
