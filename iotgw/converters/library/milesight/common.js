
// Channels that every device may report: what it is.
var BASICS = {
    'ff01': [['protocolVersion', 1]], 'ff09': [['hardwareVersion', 'version']], 'ff0a': [['firmwareVersion', 'version']],
    'ff0b': [['powerOn', 1]], 'ff0f': [['loraClass', 1, { 0: 'A', 1: 'B', 2: 'C', 3: 'C to B' }]], 'ff16': [['serialNumber', 'hex8']],
    'fffe': [['reset', 1]], 'ffff': [['tslVersion', 'version']]
};

function Decoder(payload, metadata) {
    var frame = opened(payload), made = { values: {}, attributes: frame.attributes, history: [] };
    while (frame.at + 2 <= frame.end) {
        var start = frame.at, key = hex(frame.bytes, start, start + 2), fields = CHANNELS[key] || BASICS[key];
        if (!fields) {
            if (start === frame.start) {
                throw new Error('expected a channel of ' + MODEL + ' at offset ' + start + ', got ' + key);
            }
            // a channel's length is known only with the channel
            made.values.undecoded = hex(frame.bytes, start, frame.end);
            break;
        }
        frame.at += 2;
        if (fields.history) {
            var ts = number(frame, 4, false) * 1000, past = {};
            read(frame, fields.history, past);
            made.history.push({ ts: ts, values: past });
        } else {
            read(frame, fields, BASICS[key] ? made.attributes : made.values);
        }
    }
    made.attributes.vendor = 'Milesight';
    made.attributes.model = MODEL;
    return {
        deviceName: frame.name || nameOf(metadata),
        deviceType: MODEL,
        attributes: made.attributes,
        telemetry: !made.history.length ? made.values : isEmpty(made.values) ? made.history :
            [{ ts: metadata.receivedTime || Date.now(), values: made.values }].concat(made.history)
    };
}

function isEmpty(values) {
    for (var name in values) {
        return false;
    }
    return true;
}

// Over NB-IoT a frame has a header with IMEI and SIM before the sensor's channels.
function opened(bytes) {
    var size = bytes[3] << 8 | bytes[4];
    if (bytes[0] !== 2 || bytes[1] !== 0 || bytes[2] !== 1 || bytes.length !== size + 5 || size < 81) {
        return { bytes: bytes, at: 0, start: 0, end: bytes.length, attributes: {} };
    }
    var start = 86, end = start + (bytes[84] << 8 | bytes[85]);
    if (end > bytes.length) {
        throw new Error('expected ' + end + ' bytes of a cellular frame, got ' + bytes.length);
    }
    return {
        bytes: bytes, at: start, start: start, end: end, name: text(bytes, 33, 48),
        attributes: {
            firmwareVersion: text(bytes, 9, 13), hardwareVersion: text(bytes, 13, 17), serialNumber: text(bytes, 17, 33),
            imsi: text(bytes, 48, 63), iccid: text(bytes, 63, 83), csq: bytes[83]
        }
    };
}

// A field is [name, size, what it is divided by, or the texts of its values]; a negative size is a signed number. A fourth part
// says that 0xFFFD and more are no measurement. A field `#` is the number that stands for `#` in the names after it.
function read(frame, fields, values) {
    var index = '';
    for (var i = 0; i < fields.length; i++) {
        var name = fields[i][0], size = fields[i][1], rule = fields[i][2], start = frame.at, value;
        if (typeof size === 'string') {
            value = special(frame, size, start);
        } else {
            value = number(frame, Math.abs(size), size < 0);
            if (fields[i][3] && value >= 0xFFFD) {
                continue;
            }
            if (typeof rule === 'object') {
                value = rule[value] === undefined ? value : rule[value];
            } else if (rule) {
                value = value / rule;
            }
        }
        if (name === '#') {
            index = value;
        } else if (name) {
            values[name.replace('#', index)] = value;
        }
    }
}

function special(frame, kind, start) {
    if (kind === 'version') {
        take(frame, 2);
        return 'v' + frame.bytes[start] + '.' + frame.bytes[start + 1].toString(16);
    }
    var size = Number(kind.slice(3));
    take(frame, size);
    return hex(frame.bytes, start, start + size);
}

function take(frame, size) {
    if (frame.at + size > frame.end) {
        throw new Error('expected ' + size + ' bytes at offset ' + frame.at + ' of a ' + MODEL + ' frame, got its end after ' + frame.end);
    }
    frame.at += size;
}

function number(frame, size, signed) {
    var value = 0;
    take(frame, size);
    for (var i = 1; i <= size; i++) {
        value = value * 256 + frame.bytes[frame.at - i];
    }
    return signed && value >= Math.pow(256, size) / 2 ? value - Math.pow(256, size) : value;
}

function nameOf(metadata) {
    var names = ['deviceName', 'devEui', 'devEUI', 'deviceEui', 'imei', 'identity', 'deviceId', 'device', 'serial'];
    for (var i = 0; i < names.length; i++) {
        if (metadata[names[i]]) {
            return String(metadata[names[i]]);
        }
    }
    throw new Error('expected metadata that names the device: one of ' + names.join(', '));
}

function text(bytes, from, to) {
    var out = '';
    for (var i = from; i < to; i++) {
        out += String.fromCharCode(bytes[i]);
    }
    return out;
}

function hex(bytes, from, to) {
    var out = '';
    for (var i = from; i < to; i++) {
        out += (bytes[i] < 16 ? '0' : '') + bytes[i].toString(16);
    }
    return out;
}
