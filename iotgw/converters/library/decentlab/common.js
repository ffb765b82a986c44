// A frame: version 2, device id, a bit for each group of words that is there, and the words, all big-endian.
// A value is [name, what is taken off its word, what the rest is divided by], or [name, what makes it of the group's words];
// a value's word is the one at its place in the group.
function decodeUplink(input) {
    var bytes = input.bytes, given = constants(input.variables || {});
    if (bytes.length < 5 || bytes[0] !== 2) {
        return { errors: ['expected version 2 and at least 5 bytes, got version ' + bytes[0] + ' and ' + bytes.length + ' bytes'] };
    }
    var data = { deviceId: word(bytes, 1) }, flags = word(bytes, 3), at = 5;
    for (var i = 0; i < GROUPS.length; i++) {
        if (!(flags >> i & 1)) {
            continue;
        }
        if (at + 2 * GROUPS[i].words > bytes.length) {
            return { errors: ['expected ' + 2 * GROUPS[i].words + ' bytes at offset ' + at + ', got the end after ' + bytes.length] };
        }
        var x = [];
        for (var w = 0; w < GROUPS[i].words; w++) {
            x[w] = word(bytes, at + 2 * w);
        }
        at += 2 * x.length;
        for (var v = 0; v < GROUPS[i].values.length; v++) {
            var value = GROUPS[i].values[v];
            data[value[0]] = typeof value[1] === 'function' ? value[1](x, given) : (x[v] - value[1]) / value[2];
        }
    }
    return { data: data };
}

function word(bytes, at) {
    return bytes[at] << 8 | bytes[at + 1];
}

// What a single device was calibrated with, by the option `variables`; else the vendor's default.
function constants(variables) {
    var given = {};
    for (var name in CONSTANTS) {
        given[name] = typeof variables[name] === 'number' ? variables[name] : CONSTANTS[name];
    }
    return given;
}
