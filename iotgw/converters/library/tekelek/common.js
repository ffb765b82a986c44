
function Decoder(payload, metadata) {
    var telemetry = [status(metadata)], attributes = facts(metadata), at, i, d, sample;
    if (metadata.sampleTimes) {
        for (i = 0; i < metadata.sampleTimes.length; i++) {
            at = 26 + 4 * i;
            d = payload.slice(at, at + 4);
            if (d[0] || d[1] || d[2] || d[3]) {
                sample = reading(((d[2] & 3) << 8) | d[3], (d[2] >> 2) & 15, d[0] & 15, metadata);
                sample.temperature = d[1] / 2 - 30;
                telemetry.push({ ts: metadata.sampleTimes[i], values: sample });
            }
        }
    } else if (metadata.gpsFix !== undefined) {
        telemetry.push(fix(metadata));
    } else if (metadata.messageName === 'unknown' || metadata.messageName === 'diagnostics') {
        telemetry[0].body = hex(payload, 17, payload.length - 2);
    }
    return {
        deviceName: metadata.imei || metadata.identity,
        deviceType: metadata.deviceModel || 'Tekelek',
        attributes: attributes,
        telemetry: telemetry
    };
}

// What the transmission says about itself; without a time of its own it counts as of receipt.
function status(metadata) {
    var values = {
        batteryPercent: metadata.batteryPercent,
        batteryVolts: metadata.batteryVolts,
        rssi: metadata.rssiDbm,
        signal: metadata.signalDbm,
        messageCount: metadata.messageCount,
        energyMah: metadata.energyMah,
        energyMas: metadata.energyMas,
        lastError: metadata.lastError,
        contactReason: metadata.contactReasons && metadata.contactReasons.join(',')
    };
    var alarms = metadata.alarms || [];
    if (metadata.alarms) {
        values.limit1 = alarms.indexOf('limit1') >= 0;
        values.limit2 = alarms.indexOf('limit2') >= 0;
        values.limit3 = alarms.indexOf('limit3') >= 0;
        values.bundClosed = alarms.indexOf('bundClosed') >= 0;
        values.active = alarms.indexOf('active') >= 0;
    }
    if (metadata.messageName === 'ready') {
        values.answer = metadata.text;
    }
    return values;
}

function facts(metadata) {
    var attributes = {
        vendor: 'Tekelek',
        model: metadata.productName,
        imei: metadata.imei,
        hardware: metadata.hardware,
        firmware: metadata.firmware,
        loggerMinutes: metadata.loggerMinutes,
        network: metadata.network
    };
    var register;
    for (register in metadata.registers || {}) {
        attributes[register] = metadata.registers[register];
    }
    if (metadata.messageName === 'status' && metadata.fields) {
        attributes.iccid = metadata.fields[0];
        attributes.status = metadata.text;
    }
    return about(attributes, metadata);
}

function fix(metadata) {
    var values = {
        gpsFix: metadata.gpsFix,
        latitude: metadata.latitude,
        longitude: metadata.longitude,
        altitude: metadata.altitude,
        hdop: metadata.hdop,
        satellites: metadata.satellites,
        speedKmh: metadata.speedKmh
    };
    return metadata.gpsTime ? { ts: metadata.gpsTime, values: values } : values;
}

function hex(bytes, start, end) {
    var out = '';
    for (var i = start; i < end; i++) {
        out += (bytes[i] < 16 ? '0' : '') + bytes[i].toString(16);
    }
    return out;
}
