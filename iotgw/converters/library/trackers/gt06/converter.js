// Trackers that speak GT06 (Concox, Jimi and many others), over TCP.
// Source: "GPS Tracker Communication Protocol (GT06)", Concox. A wrong check (CRC-ITU, which is X.25) is logged and not refused:
// TCP has its own, and some clones count it otherwise.
//
// Only the login names the device: it states the connection's identity. Every packet is answered with its number, for
// trackers repeat what isn't. Times are UTC, as the document says.
function Decoder(payload, metadata) {
    var packet = opened(payload), type = packet.type;
    if (type === 0x01) {
        return { session: { identity: imei(packet) }, reply: answer(type, packet.number) };
    }
    if (type === 0x8A) {
        return { reply: answer(type, packet.number, clock(metadata.receivedTime || Date.now())) };
    }
    if (!metadata.identity) {
        throw new Error('expected a login before a packet 0x' + hex([type]));
    }
    return {
        deviceName: metadata.identity,
        deviceType: 'GT06',
        telemetry: READERS[type] ? READERS[type](packet) : unknown(packet),
        reply: answer(type, packet.number)
    };
}

var READERS = { 0x12: position, 0x13: status, 0x16: alarm, 0x22: position, 0x26: alarm, 0x94: information };

// start 2, length 1 (0x7878) or 2 (0x7979), type 1, contents, number 2, check 2, stop 2
function opened(bytes) {
    var head = bytes[0] === 0x78 && bytes[1] === 0x78 ? 3 : bytes[0] === 0x79 && bytes[1] === 0x79 ? 4 : 0;
    var length = head === 3 ? bytes[2] : bytes[2] << 8 | bytes[3], end = bytes.length;
    if (!head || length < 5 || end !== head + length + 2 || bytes[end - 2] !== 0x0D || bytes[end - 1] !== 0x0A) {
        throw new Error('expected a GT06 packet, got ' + end + ' bytes: ' + hex(bytes.slice(0, 20)));
    }
    if (check(bytes.slice(2, end - 4)) !== (bytes[end - 4] << 8 | bytes[end - 3])) {
        console.log('the check of packet 0x' + hex([bytes[head]]) + ' is wrong');
    }
    return { type: bytes[head], bytes: bytes, at: head + 1, end: end - 6, number: [bytes[end - 6], bytes[end - 5]] };
}

function answer(type, number, contents) {
    var body = [5 + (contents ? contents.length : 0), type].concat(contents || [], number), sum = check(body);
    return { contentType: 'BINARY', data: [0x78, 0x78].concat(body, [sum >> 8, sum & 255, 0x0D, 0x0A]) };
}

function check(bytes) {
    var crc = 0xFFFF;
    for (var i = 0; i < bytes.length; i++) {
        crc ^= bytes[i];
        for (var bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >>> 1 ^ 0x8408 : crc >>> 1;
        }
    }
    return crc ^ 0xFFFF;
}

function next(packet, size) {
    var value = 0;
    if (packet.at + size > packet.end) {
        throw new Error('expected ' + size + ' bytes at offset ' + packet.at + ' of a packet 0x' + hex([packet.type]) +
            ', got its end');
    }
    for (var i = 0; i < size; i++) {
        value = value * 256 + packet.bytes[packet.at++];
    }
    return value;
}

function imei(packet) {
    var digits = hex(packet.bytes.slice(packet.at, packet.at + 8)).slice(1);
    if (packet.end < packet.at + 8 || !/^\d{15}$/.test(digits)) {
        throw new Error('expected an IMEI of 15 digits in the login');
    }
    return digits;
}

function position(packet) {
    var found = fix(packet), values = found.values;
    if (packet.end - packet.at >= 8) {
        cell(packet, values);
    }
    if (packet.type === 0x22 && packet.end - packet.at >= 3) {
        values.ignition = next(packet, 1) === 1;
        values.reason = next(packet, 1);
        values.isStored = next(packet, 1) === 1;
        if (packet.end - packet.at >= 4) {
            values.mileage = next(packet, 4);
        }
    }
    return found;
}

function fix(packet) {
    var year = next(packet, 1), month = next(packet, 1), day = next(packet, 1);
    var ts = Date.UTC(2000 + year, month - 1, day, next(packet, 1), next(packet, 1), next(packet, 1));
    var values = { satellites: next(packet, 1) & 15 };
    var latitude = next(packet, 4) / 1800000, longitude = next(packet, 4) / 1800000;
    values.speed = next(packet, 1);
    var course = next(packet, 2);
    values.course = course & 0x3FF;
    values.hasFix = (course & 0x1000) !== 0;
    if (latitude || longitude) {
        values.latitude = round(course & 0x0400 ? latitude : -latitude);
        values.longitude = round(course & 0x0800 ? -longitude : longitude);
    }
    return { ts: ts, values: values };
}

function cell(packet, values) {
    values.mcc = next(packet, 2);
    values.mnc = next(packet, 1);
    values.lac = next(packet, 2);
    values.cellId = next(packet, 3);
}

var ALARMS = { 1: 'sos', 2: 'power cut', 3: 'vibration', 4: 'enter fence', 5: 'exit fence', 6: 'overspeed', 9: 'displacement' };
var LEVELS = [0, 5, 10, 25, 50, 75, 100];

function alarm(packet) {
    var found = fix(packet), start = packet.at, size = next(packet, 1);
    if (size >= 9) {
        cell(packet, found.values);
    }
    packet.at = start + Math.max(1, size);
    terminal(packet, found.values);
    found.values.alarm = ALARMS[packet.bytes[packet.at]] || packet.bytes[packet.at];
    return found;
}

function status(packet) {
    return terminal(packet, {});
}

function terminal(packet, values) {
    var bits = next(packet, 1), level = next(packet, 1);
    values.oilAndPowerCut = (bits & 0x80) !== 0;
    values.gpsTracking = (bits & 0x40) !== 0;
    values.charging = (bits & 0x04) !== 0;
    values.ignition = (bits & 0x02) !== 0;
    values.armed = (bits & 0x01) !== 0;
    if (level < LEVELS.length) {
        values.battery = LEVELS[level];
    }
    values.gsmSignal = next(packet, 1);
    return values;
}

function clock(ms) {
    var now = new Date(ms);
    return [now.getUTCFullYear() - 2000, now.getUTCMonth() + 1, now.getUTCDate(), now.getUTCHours(), now.getUTCMinutes(), now.getUTCSeconds()];
}

function information(packet) {
    var kind = next(packet, 1);
    if (kind === 0 && packet.end - packet.at === 2) {
        return { externalVolts: next(packet, 2) / 100 };
    }
    return { information: kind, data: hex(packet.bytes.slice(packet.at, packet.end)) };
}

function unknown(packet) {
    return { packetType: packet.type, data: hex(packet.bytes.slice(packet.at, packet.end)) };
}

function round(degrees) {
    return Math.round(degrees * 1e6) / 1e6;
}

function hex(bytes) {
    var text = '';
    for (var i = 0; i < bytes.length; i++) {
        text += (bytes[i] < 16 ? '0' : '') + bytes[i].toString(16);
    }
    return text;
}
