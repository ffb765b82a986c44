
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
