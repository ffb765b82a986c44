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
