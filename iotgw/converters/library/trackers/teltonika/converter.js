// Teltonika trackers (FMB, FMC, FMM, …): codec 8 and codec 8 extended, over TCP and UDP.
// Source: Teltonika Telematics Wiki, "Teltonika Data Sending Protocols"; its examples are the vectors.
//
// Over TCP the first packet is the IMEI: it states the connection's identity, and is answered with 01. Data is answered with
// the number of records; without that the device sends them again. I/O elements keep their AVL id, whose meaning depends on the model.
function Decoder(payload, metadata) {
    if (payload.length > 2 && word(payload, 0) === payload.length - 2 && payload.length <= 20) {
        return { session: { identity: imei(payload, 2, payload.length - 2) }, reply: bytes([1]) };
    }
    if (long(payload, 0) === 0) {
        return overTcp(payload, metadata);
    }
    if (payload.length > 24 && word(payload, 0) === payload.length - 2) {
        return overUdp(payload);
    }
    throw new Error('expected an IMEI or an AVL packet, got ' + payload.length + ' bytes');
}

function overTcp(payload, metadata) {
    var length = long(payload, 4), records;
    if (payload.length !== length + 12) {
        throw new Error('expected the ' + (length + 12) + ' bytes of an AVL packet, got ' + payload.length);
    }
    if (check(payload, 8, 8 + length) !== long(payload, 8 + length)) {
        throw new Error('the CRC of the packet is wrong');
    }
    if (!metadata.identity) {
        throw new Error('expected an IMEI before an AVL packet');
    }
    records = read(payload, 8, 8 + length);
    return device(metadata.identity, records, [0, 0, 0, records.length]);
}

function overUdp(payload) {
    var size = word(payload, 6), start = 8 + size, records = read(payload, start, payload.length);
    return device(imei(payload, 8, size), records, [0, 5, payload[2], payload[3], 1, payload[5], records.length]);
}

function device(name, records, answer) {
    return { deviceName: name, deviceType: 'Teltonika', telemetry: records, reply: bytes(answer) };
}

function bytes(data) {
    return { contentType: 'BINARY', data: data };
}

function read(payload, start, end) {
    var codec = payload[start], count = payload[start + 1], frame = { bytes: payload, at: start + 2, end: end - 1 };
    var records = [];
    if (codec !== 0x08 && codec !== 0x8E) {
        throw new Error('expected codec 8 or 8 extended, got 0x' + codec.toString(16));
    }
    for (var i = 0; i < count; i++) {
        records.push(record(frame, codec === 0x8E ? 2 : 1));
    }
    if (frame.at !== frame.end || payload[frame.at] !== count) {
        throw new Error('expected ' + count + ' records');
    }
    return records;
}

function record(frame, wide) {
    var ts = next(frame, 8), values = { priority: next(frame, 1) };
    var longitude = next(frame, 4) | 0, latitude = next(frame, 4) | 0, altitude = next(frame, 2) << 16 >> 16;
    var angle = next(frame, 2), satellites = next(frame, 1), speed = next(frame, 2), event = next(frame, wide);
    values.satellites = satellites;
    if (latitude || longitude) {
        values.latitude = latitude / 1e7;
        values.longitude = longitude / 1e7;
        values.altitude = altitude;
        values.angle = angle;
        values.speed = speed;
    }
    if (event) {
        values.event = event;
    }
    next(frame, wide); // how many elements there are in all
    for (var size = 1; size <= 8; size *= 2) {
        elements(frame, wide, size, values);
    }
    if (wide === 2) {
        for (var left = next(frame, 2); left; left--) {
            var id = next(frame, 2);
            values['io' + id] = hex(frame, next(frame, 2));
        }
    }
    return { ts: ts, values: values };
}

function elements(frame, wide, size, values) {
    for (var left = next(frame, wide); left; left--) {
        var id = next(frame, wide);
        // beyond 2^53 a number would not be exact
        values['io' + id] = size === 8 && frame.bytes[frame.at] | frame.bytes[frame.at + 1] & 0xE0 ? hex(frame, 8) : next(frame, size);
    }
}

function next(frame, size) {
    var value = 0;
    if (frame.at + size > frame.end) {
        throw new Error('expected ' + size + ' bytes at offset ' + frame.at + ', got the end of the records');
    }
    for (var i = 0; i < size; i++) {
        value = value * 256 + frame.bytes[frame.at++];
    }
    return value;
}

function hex(frame, size) {
    var text = '';
    for (var i = 0; i < size; i++) {
        var byte = next(frame, 1);
        text += (byte < 16 ? '0' : '') + byte.toString(16);
    }
    return text;
}

function imei(payload, start, size) {
    var digits = String.fromCharCode.apply(null, payload.slice(start, start + size));
    if (!/^\d{14,16}$/.test(digits)) {
        throw new Error('expected an IMEI of 15 digits');
    }
    return digits;
}

function word(payload, at) {
    return payload[at] << 8 | payload[at + 1];
}

function long(payload, at) {
    return word(payload, at) * 65536 + word(payload, at + 2);
}

// CRC-16/IBM (ARC)
function check(payload, start, end) {
    var crc = 0;
    for (var i = start; i < end; i++) {
        crc ^= payload[i];
        for (var bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >>> 1 ^ 0xA001 : crc >>> 1;
        }
    }
    return crc;
}
