
function next(frame, size) {
    var value = 0, end = frame.at + size;
    if (end > frame.bytes.length) {
        throw new Error('expected ' + size + ' bytes at offset ' + frame.at + ' of a ' + MODEL +
            ' frame, got its end after ' + frame.bytes.length);
    }
    while (frame.at < end) {
        value = value * 256 + frame.bytes[frame.at++];
    }
    return value;
}

// 0xFFFF means that there is no probe. Below zero some firmware sends a nibble F and the magnitude, some two's
// complement; what is nearer to zero is meant, for the other reading is colder than soil or air gets.
function temperature(raw, divisor) {
    if (raw === 0xFFFF) {
        return undefined;
    }
    return (raw >= 0xF000 ? -Math.min(raw & 0x0FFF, 0x10000 - raw) : raw) / (divisor || 10);
}

// Devices send 0 before they have a clock, and garbage after some resets: such a time is unknown.
function time(frame, now) {
    var ms = next(frame, 4) * 1000;
    return ms >= 1420070400000 && ms <= now + 86400000 ? ms : undefined;
}

// Room for a record that the device doesn't have yet.
function isEmpty(frame, start) {
    for (var at = start; at < frame.at; at++) {
        if (frame.bytes[at]) {
            return false;
        }
    }
    return true;
}

function Decoder(payload, metadata) {
    var frame = { bytes: payload, at: metadata.dataOffset, isNew: /G[23]/.test(metadata.generation) };
    var now = metadata.receivedTime || Date.now();
    var telemetry = [], undated = 0, start, values, ts;
    if (metadata.generation === 'JSON' || metadata.generation === 'KW') {
        throw new Error('expected a binary ' + MODEL + ' frame, got ' + metadata.generation);
    }
    values = first(frame, metadata.generation);
    ts = frame.isUndated ? undefined : time(frame, now);
    values.batteryVolts = metadata.batteryVolts;
    values.csq = metadata.csq;
    values.rssi = metadata.rssiDbm;
    if (metadata.generation === 'G3' && values.latitude === undefined) {
        position(frame, values);
    }
    telemetry.push({ ts: ts || now, values: values });
    while (frame.at < payload.length) {
        start = frame.at;
        values = record(frame);
        ts = time(frame, now);
        if (ts) {
            telemetry.push({ ts: ts, values: values });
        } else if (!isEmpty(frame, start)) {
            undated += 1;
        }
    }
    if (undated) {
        telemetry[0].values.undatedRecords = undated;
    }
    return {
        deviceName: metadata.imei || metadata.deviceId,
        deviceType: MODEL,
        attributes: {
            vendor: 'Dragino',
            model: MODEL,
            generation: metadata.generation,
            firmware: metadata.firmware,
            imsi: metadata.imsi,
            modelGuessed: metadata.deviceModelGuessed === true,
            modelCandidates: metadata.deviceModelCandidates && metadata.deviceModelCandidates.join(',')
        },
        telemetry: telemetry
    };
}

function position(frame, values) {
    var latitude = next(frame, 4) | 0, longitude = next(frame, 4) | 0;
    next(frame, 4); // the time of the fix
    if (latitude || longitude) { // both are 0 before the first fix
        values.latitude = latitude / 1e6;
        values.longitude = longitude / 1e6;
    }
}
