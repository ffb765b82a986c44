"""What can be told of a script from its text, before it runs: see `iotgw.converters.source.analysis`."""
