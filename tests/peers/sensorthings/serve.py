"""A SensorThings service with ids that are texts, as the preset for it wants them: serve.py FOLDER PORT DATASTREAM…

Each DATASTREAM is there when it says that it is ready, and takes numbers.
"""

import sys
from wsgiref.simple_server import make_server

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import models

FOLDER, PORT, DATASTREAMS = sys.argv[1], int(sys.argv[2]), sys.argv[3:]


class TextId(models.TextField):
    """In place of the UUIDs that its tables have."""


models.UUIDField = TextId
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{FOLDER}/sensorthings.db"}},
    INSTALLED_APPS=["sensorthings.versions.v1_1", "sensorthings.versions.v1_1.backends.django"],
    MIGRATION_MODULES={"sensorthings_v1_1_django_backend": None},
    ROOT_URLCONF="sensorthings.versions.v1_1.urls",
    SENSORTHINGS_V1_1_BACKEND_ADAPTER="sensorthings.versions.v1_1.backends.django.adapter.DjangoBackendAdapter",
    SENSORTHINGS_V1_1_ID_DELIMITER="'",
    SENSORTHINGS_V1_1_ID_TYPE=str,
    SENSORTHINGS_V1_1_SERVICE_URL=f"http://127.0.0.1:{PORT}",
    USE_TZ=True,
)
django.setup()
call_command("migrate", run_syncdb=True, verbosity=0)

from sensorthings.versions.v1_1.backends.django import models as tables  # noqa: E402

place = {"type": "Point", "coordinates": [11.5, 48.1]}
thing = tables.Thing.objects.create(name="roof", description="")
thing.locations.add(tables.Location.objects.create(name="roof", description="", location=place))
sensor = tables.Sensor.objects.create(name="any", description="", encoding_type="text/html", metadata="")
what = tables.ObservedProperty.objects.create(name="any", definition="", description="")
for name in DATASTREAMS:
    tables.Datastream.objects.create(
        id=name, name=name, description="", thing=thing, sensor=sensor, observed_property=what,
        unit_of_measurement={"name": "", "symbol": "", "definition": ""},
        observation_type=tables.Datastream.OM_MEASUREMENT,
    )  # fmt: skip
make_server("127.0.0.1", PORT, get_wsgi_application()).serve_forever()
