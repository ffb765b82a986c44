// Elsys sensors (ERS, ELT, EMS and their variants): a type of one byte and its value, one after another.
// Source: Elsys, "Payload format" (elsys.se), which all of its LoRaWAN sensors share.
function decodeUplink(input) {
    var bytes = input.bytes, data = {}, at = 0;
    while (at < bytes.length) {
        var type = TYPES[bytes[at]], start = at + 1;
        if (!type) {
            return { errors: ['expected a type of Elsys at offset ' + at + ', got 0x' + bytes[at].toString(16)] };
        }
        at = start;
        for (var i = 0; i < type.length; i++) {
            var name = type[i][0], size = type[i][1], from = at;
            at += Math.abs(size);
            if (at > bytes.length) {
                return { errors: ['expected ' + Math.abs(size) + ' bytes at offset ' + from + ', got the end after ' + bytes.length] };
            }
            if (name) {
                data[unused(data, name)] = number(bytes, from, size) / (type[i][2] || 1);
            }
        }
    }
    return { data: data };
}

// The same type may come several times, for several probes.
function unused(data, name) {
    var free = name;
    for (var i = 2; data[free] !== undefined; i++) {
        free = name + '_' + i;
    }
    return free;
}

// Big-endian; a negative size is a signed number.
function number(bytes, at, size) {
    var value = 0, count = Math.abs(size);
    for (var i = 0; i < count; i++) {
        value = value * 256 + bytes[at + i];
    }
    return size < 0 && value >= Math.pow(256, count) / 2 ? value - Math.pow(256, count) : value;
}

// Name, size, what the number is divided by.
var TYPES = {
    0x01: [['temperature', -2, 10]],
    0x02: [['humidity', 1]],
    0x03: [['accelerationX', -1], ['accelerationY', -1], ['accelerationZ', -1]],
    0x04: [['light', 2]],
    0x05: [['motion', 1]],
    0x06: [['co2', 2]],
    0x07: [['batteryVolts', 2, 1000]],
    0x08: [['analog1', 2]],
    0x09: [['latitude', -3, 10000], ['longitude', -3, 10000]],
    0x0A: [['pulse1', 2]],
    0x0B: [['pulseAbsolute1', 4]],
    0x0C: [['externalTemperature1', -2, 10]],
    0x0D: [['digital1', 1]],
    0x0E: [['distance', 2]],
    0x0F: [['accelerationMotion', 1]],
    0x10: [['irInternalTemperature', -2, 10], ['irExternalTemperature', -2, 10]],
    0x11: [['occupancy', 1]],
    0x12: [['waterLeak', 1]],
    0x13: [[null, 65]],
    0x14: [['pressure', 4, 1000]],
    0x15: [['soundPeak', 1], ['soundAverage', 1]],
    0x16: [['pulse2', 2]],
    0x17: [['pulseAbsolute2', 4]],
    0x18: [['analog2', 2]],
    0x19: [['externalTemperature2', -2, 10]],
    0x1A: [['digital2', 1]],
    0x1B: [['analogMicrovolts', -4]],
    0x1C: [['tvoc', 2]],
    0x3D: [[null, 4]]
};
