// JSON objects that name their device, or come from a known one (metadata.identity, or metadata.device of an MQTT topic): every key but deviceName, deviceType and ts is telemetry.
function Decoder(payload, metadata) {
    var readings = decodeToJson(payload);
    return Array.isArray(readings) ? readings.map(function (reading) { return one(reading, metadata); })
        : one(readings, metadata);
}

function one(reading, metadata) {
    if (reading === null || typeof reading !== 'object') {
        throw new Error('expected a JSON object with a deviceName, got ' + JSON.stringify(reading));
    }
    var name = reading.deviceName || metadata.deviceName || metadata.identity || metadata.device;
    if (!name) {
        throw new Error('expected a deviceName in ' + JSON.stringify(reading).slice(0, 100));
    }
    var values = {};
    for (var key in reading) {
        if (key !== 'deviceName' && key !== 'deviceType' && key !== 'ts') {
            values[key] = reading[key];
        }
    }
    return {
        deviceName: name,
        deviceType: reading.deviceType || metadata.deviceType || 'default',
        telemetry: reading.ts === undefined ? {values: values} : {ts: reading.ts, values: values}
    };
}
