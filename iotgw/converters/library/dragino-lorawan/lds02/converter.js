// Dragino LDS02: door sensor.
// Source: Dragino, "LDS02 LoRaWAN Door Sensor User Manual".
var PORT = 10, SIZE = 9;

function read(bytes) {
    var values = { batteryVolts: (word(bytes, 0) & 0x3FFF) / 1000, mode: bytes[2] };
    if (values.mode === 1) {
        values.open = (bytes[0] & 0x80) !== 0;
        values.openings = triple(bytes, 3);
        values.lastMinutesOpen = triple(bytes, 6);
    } else if (values.mode === 2) {
        values.leak = (bytes[0] & 0x40) !== 0;
        values.leaks = triple(bytes, 3);
        values.lastMinutesLeaking = triple(bytes, 6);
    } else {
        values.open = (bytes[0] & 0x80) !== 0;
        values.leak = (bytes[0] & 0x40) !== 0;
    }
    if (bytes.length > 9) {
        values.alarm = (bytes[9] & 1) === 1;
    }
    return values;
}

// --- common to the Dragino LoRaWAN converters -----------------------------------------------------

function word(bytes, at) {
    return bytes[at] << 8 | bytes[at + 1];
}

function signed(bytes, at) {
    return word(bytes, at) << 16 >> 16;
}

function triple(bytes, at) {
    return bytes[at] << 16 | word(bytes, at + 1);
}

function decodeUplink(input) {
    if (input.fPort !== PORT) {
        return { errors: ['expected the port ' + PORT + ', got ' + input.fPort] };
    }
    if (input.bytes.length < SIZE) {
        return { errors: ['expected at least ' + SIZE + ' bytes, got ' + input.bytes.length] };
    }
    return { data: read(input.bytes) };
}
