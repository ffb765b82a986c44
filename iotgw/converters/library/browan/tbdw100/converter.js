// Browan TBDW100: door and window.
// Source: Browan, reference manual of the TABS TBDW100.
var PORT = 100, SIZE = 8;

function read(bytes) {
    return {
        open: (bytes[0] & 1) === 1,
        batteryVolts: batteryVolts(bytes[1]),
        temperature: celsius(bytes[2]),
        minutesSince: little(bytes, 3, 2),
        count: little(bytes, 5, 3)
    };
}

// --- common to the Browan converters --------------------------------------------------------------

function batteryVolts(byte) {
    return (25 + (byte & 15)) / 10;
}

function celsius(byte) {
    return (byte & 127) - 32;
}

function little(bytes, at, size) {
    var value = 0;
    for (var i = size; i > 0; i--) {
        value = value * 256 + bytes[at + i - 1];
    }
    return value;
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
