// Lobaro's envelope {i, n, q, d} from wMBus gateways and kin: the numbers and texts of d as telemetry.
// Entries of a batch become records of their own; telegrams stay base64.
function Decoder(payload, metadata) {
    var input = metadata.input;
    if (!input) {
        throw new Error('expected a Lobaro envelope {i, n, q, d}, got ' + metadata.encoding + ' bytes');
    }
    var kind = input.q, data = input.d || {}, telemetry = [], attributes = { vendor: 'Lobaro' };
    var entries = data.batch instanceof Array ? data.batch : [data];
    if (kind === 'config') {
        flat(data, attributes, 'config.');
    } else {
        for (var i = 0; i < entries.length; i++) {
            telemetry.push(entry(entries[i], kind));
        }
    }
    return {
        deviceName: input.i || metadata.identity || metadata.device,
        deviceType: 'Lobaro',
        attributes: attributes,
        telemetry: telemetry
    };
}

function entry(data, kind) {
    var values = flat(data, {}, kind === 'data' ? '' : kind + '.');
    if (typeof data.temperature === 'number') {
        // sent in tenths
        values[kind === 'data' ? 'temperature' : kind + '.temperature'] = data.temperature / 10;
    }
    if (typeof data.vbat === 'number') {
        values.batteryVolts = data.vbat / 1000;
    }
    if (typeof data.rsrp === 'number' && data.rsrp <= 97) {
        values.rsrpDbm = data.rsrp - 140;
    }
    if (typeof data.rsrq === 'number' && data.rsrq <= 34) {
        values.rsrqDb = (data.rsrq - 39) / 2;
    }
    // a device without a clock counts from its boot
    return data.timestamp > 1420070400 ? { ts: data.timestamp * 1000, values: values } : values;
}

function flat(data, values, prefix) {
    for (var key in data) {
        var value = data[key];
        if (value !== null && value !== undefined && key !== 'timestamp' && key !== 'batch') {
            values[prefix + key] = typeof value === 'object' ? JSON.stringify(value) : value;
        }
    }
    return values;
}
