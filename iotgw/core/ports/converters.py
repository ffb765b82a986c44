"""The converters."""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def"
from zope.interface import Interface


class IConverters(Interface):
    """The converter service."""

    def convert(jobs, done):
        """Run a list of `model.Job` in order; call ``done(list of model.Conversion)``, as long, later."""

    def remembers(version):
        """Whether a message changes what this `model.ConverterVersion` makes of later ones."""

    def compile(spec):
        """Check a `model.ConverterSpec`: Deferred of ``(dialect, engine)``; fails with SettingsError."""

    def test(version, payload, metadata, received_ms):
        """Run one conversion for a person; Deferred of a dict as `POST /converters/test` answers it."""

    def encode(version, msg, metadata, msg_type, integration_metadata):
        """Run a downlink converter; Deferred of `model.Downlink`-like dict ``{contentType, data, metadata}``,
        ``data`` being base64 for BINARY. Fails with ConversionFailed."""


class IConverterEngine(Interface):
    """A JavaScript engine inside the worker program; one instance per converter version."""

    def call(entry, args):
        """Call the runtime's function ``entry`` with a text; returns a text. What a script throws is in the
        text; raises only `iotgw.converters.engines.Stopped`, when the engine had to stop the script."""
