// Cayenne LPP: channel, type, value, one after another. Of any device; the metadata names it.
// Source: "Cayenne Low Power Payload" (myDevices), with the types of IPSO that its successors added.
function decodeUplink(input) {
    var bytes = input.bytes, data = {}, at = 0;
    while (at < bytes.length) {
        var channel = bytes[at], type = TYPES[bytes[at + 1]], start = at + 2;
        if (!type) {
            return { errors: ['expected a type of Cayenne LPP at offset ' + (at + 1) + ', got ' + bytes[at + 1]] };
        }
        at = start + type.size * type.names.length;
        if (at > bytes.length) {
            return { errors: ['expected ' + (at - start) + ' bytes at offset ' + start + ', got the end after ' + bytes.length] };
        }
        for (var i = 0; i < type.names.length; i++) {
            var value = number(bytes, start + i * type.size, type.size, type.signed);
            data[type.names[i] + '_' + channel] = value / (type.divisors ? type.divisors[i] : type.divisor);
        }
    }
    return { data: data };
}

function number(bytes, at, size, signed) {
    var value = 0;
    for (var i = 0; i < size; i++) {
        value = value * 256 + bytes[at + i];
    }
    var most = Math.pow(256, size);
    return signed && value >= most / 2 ? value - most : value;
}

function one(name, size, signed, divisor) {
    return { names: [name], size: size, signed: signed, divisor: divisor };
}

var TYPES = {
    0: one('digital_in', 1, false, 1),
    1: one('digital_out', 1, false, 1),
    2: one('analog_in', 2, true, 100),
    3: one('analog_out', 2, true, 100),
    100: one('generic', 4, false, 1),
    101: one('luminosity', 2, false, 1),
    102: one('presence', 1, false, 1),
    103: one('temperature', 2, true, 10),
    104: one('relative_humidity', 1, false, 2),
    113: { names: ['accelerometer_x', 'accelerometer_y', 'accelerometer_z'], size: 2, signed: true, divisor: 1000 },
    115: one('barometric_pressure', 2, false, 10),
    116: one('voltage', 2, false, 100),
    117: one('current', 2, false, 1000),
    118: one('frequency', 4, false, 1),
    120: one('percentage', 1, false, 1),
    121: one('altitude', 2, true, 1),
    125: one('concentration', 2, false, 1),
    128: one('power', 2, false, 1),
    130: one('distance', 4, false, 1000),
    131: one('energy', 4, false, 1000),
    132: one('direction', 2, false, 1),
    133: one('unix_time', 4, false, 1),
    134: { names: ['gyrometer_x', 'gyrometer_y', 'gyrometer_z'], size: 2, signed: true, divisor: 100 },
    135: { names: ['colour_red', 'colour_green', 'colour_blue'], size: 1, signed: false, divisor: 1 },
    136: { names: ['latitude', 'longitude', 'altitude'], size: 3, signed: true, divisors: [10000, 10000, 100] },
    142: one('switch', 1, false, 1)
};
