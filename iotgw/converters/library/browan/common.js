
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
