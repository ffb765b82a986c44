// Efento NB-IoT sensors over CoAP: measurements (`/m`) and requests for the time (`/t`).
// Source: the public messages proto_measurements.proto and proto_measurement_types.proto of Efento (github.com/efento/Proto-files).
function Decoder(payload, metadata) {
    var now = metadata.receivedTime || Date.now(), message, device;
    if (/(^|\/)t$/.test(metadata.path || '')) { // the sensor has no clock yet: seconds since 1970, 4 bytes
        var seconds = Math.floor(now / 1000);
        return { reply: { contentType: 'BINARY', data: [seconds >>> 24, seconds >>> 16 & 255, seconds >>> 8 & 255, seconds & 255] } };
    }
    if (/(^|\/)[ci]$/.test(metadata.path || '')) { // configuration and device information
        return null;
    }
    message = fields(payload, 0, payload.length);
    device = message[1] ? hex(payload, message[1][0]) : '';
    if (device.length !== 12) {
        throw new Error('expected Efento\'s ProtoMeasurements with a serial number of 6 bytes');
    }
    return {
        deviceName: device,
        deviceType: 'Efento',
        attributes: { vendor: 'Efento', serialNumber: device, measurementPeriod: number(message, 3) * (number(message, 8) || 1) },
        telemetry: telemetry(payload, message, now)
    };
}

// type: name, divisor, and how many values of a status are in one number
var TYPES = {
    1: ['temperature', 10], 2: ['humidity', 1], 3: ['atmosphericPressure', 10], 4: ['differentialPressure', 1], 5: ['alarm', 0],
    6: ['iaq', 1, 3], 7: ['flooding', 0], 8: ['pulses', 1], 9: ['energy', 1], 10: ['water', 1], 11: ['soilMoisture', 1],
    12: ['co', 1], 13: ['no2', 1], 14: ['h2s', 100], 15: ['ambientLight', 10], 16: ['pm1', 1], 17: ['pm2_5', 1], 18: ['pm10', 1],
    19: ['noise', 10], 20: ['nh3', 1], 21: ['ch4', 1], 22: ['pressure', 1], 23: ['distance', 1], 24: ['waterMinor', 1, 6],
    25: ['waterMajor', 1, 4], 26: ['co2', 1, 3], 27: ['humidity', 10], 28: ['staticIaq', 1, 3], 29: ['co2Equivalent', 1, 3],
    30: ['breathVoc', 1, 3], 32: ['percentage', 100], 33: ['voltage', 10], 34: ['current', 100], 35: ['pulsesMinor', 1, 6],
    36: ['pulsesMajor', 1, 4], 37: ['energyMinor', 1, 6], 38: ['energyMajor', 1, 4], 39: ['pulsesWideMinor', 1, 6],
    40: ['pulsesWideMajor', 1, 4], 41: ['current', 1000], 42: ['output', 0], 43: ['resistance', 1]
};
var BINARY = { 5: 1, 7: 1, 42: 1 };
var ERROR_FROM = 8355840, ERROR_TO = 8388607;
var MOST = 5000;

function telemetry(bytes, message, now) {
    var entries = [], byTime = {}, names = {}, base = number(message, 3), factor = number(message, 8), channels = message[4] || [];
    function put(ts, name, value) {
        var entry = byTime[ts];
        if (!entry) {
            if (entries.length >= MOST) {
                throw new Error('expected at most ' + MOST + ' times in a message');
            }
            entry = byTime[ts] = { ts: ts, values: {} };
            entries.push(entry);
        }
        entry.values[name] = value;
    }
    for (var i = 0; i < channels.length; i++) {
        var channel = fields(bytes, channels[i].start, channels[i].end), type = number(channel, 1);
        if (!type) {
            continue; // there is no sensor on this channel
        }
        var known = TYPES[type] || ['type' + type, 1], name = known[0];
        names[name] = (names[name] || 0) + 1;
        samples(bytes, channel, type, known, names[name] > 1 ? name + names[name] : name, base * (factor || 1), put);
    }
    var level = number(message, 18), status = {};
    if (level) {
        if (Math.floor(level / 6) !== 10921) {
            status.batteryVolts = Math.floor(level / 6) / 100;
        }
        status.batteryStatus = level % 6;
    } else {
        status.batteryOk = number(message, 2) === 1;
    }
    entries.sort(function (a, b) { return a.ts - b.ts; });
    entries.push({ ts: now, values: status });
    return entries;
}

function samples(bytes, channel, type, known, name, period, put) {
    var at = number(channel, 2), start = zigzag(number(channel, 4)), offsets = packed(bytes, channel[5] || []);
    for (var i = 0; i < offsets.length; i++) {
        var offset = offsets[i];
        if (offset >= ERROR_FROM && offset <= ERROR_TO) {
            put((at + i * period) * 1000, name + 'Error', offset);
        } else if (BINARY[type]) {
            put((at + Math.abs(offset) - 1) * 1000, name, offset > 0);
        } else {
            var raw = start + offset, parts = known[2];
            put((at + i * period) * 1000, name, (parts ? raw < 0 ? -Math.floor(-raw / parts) : Math.floor(raw / parts) : raw) / known[1]);
            if (parts) {
                put((at + i * period) * 1000, name + 'Status', Math.abs(raw) % parts);
            }
        }
    }
}

// --- protobuf (https://protobuf.dev/programming-guides/encoding) -----------------------------------

// The fields of a message by number: lists of numbers, and of {start, end} for what has a length.
function fields(bytes, at, end) {
    var frame = { bytes: bytes, at: at, end: end }, found = {};
    while (frame.at < end) {
        var key = varint(frame), field = Math.floor(key / 8), value;
        switch (key % 8) {
        case 0:
            value = varint(frame);
            break;
        case 1:
            value = skip(frame, 8);
            break;
        case 2:
            value = skip(frame, varint(frame));
            break;
        case 5:
            value = skip(frame, 4);
            break;
        default:
            throw new Error('expected a protobuf message, got the wire type ' + key % 8 + ' at offset ' + frame.at);
        }
        (found[field] = found[field] || []).push(value);
    }
    return found;
}

function varint(frame) {
    var value = 0, factor = 1;
    for (var i = 0; i < 10; i++) {
        if (frame.at >= frame.end) {
            throw new Error('expected the rest of a protobuf message, got its end at offset ' + frame.at);
        }
        var byte = frame.bytes[frame.at++];
        value += (byte & 127) * factor;
        factor *= 128;
        if (byte < 128) {
            return value;
        }
    }
    throw new Error('expected a varint of at most 10 bytes at offset ' + frame.at);
}

function skip(frame, size) {
    var part = { start: frame.at, end: frame.at + size };
    if (part.end > frame.end) {
        throw new Error('expected ' + size + ' bytes at offset ' + frame.at + ' of a protobuf message, got its end');
    }
    frame.at = part.end;
    return part;
}

function zigzag(value) {
    return value % 2 ? -(value + 1) / 2 : value / 2;
}

function packed(bytes, parts) {
    var values = [];
    for (var i = 0; i < parts.length; i++) {
        if (typeof parts[i] === 'number') {
            values.push(zigzag(parts[i]));
            continue;
        }
        var frame = { bytes: bytes, at: parts[i].start, end: parts[i].end };
        while (frame.at < frame.end) {
            values.push(zigzag(varint(frame)));
        }
    }
    return values;
}

function number(message, field) {
    var values = message[field];
    return values && typeof values[values.length - 1] === 'number' ? values[values.length - 1] : 0;
}

function hex(bytes, part) {
    var text = '';
    for (var i = part.start; i < part.end; i++) {
        text += (bytes[i] < 16 ? '0' : '') + bytes[i].toString(16);
    }
    return text;
}
