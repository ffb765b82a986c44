// Tekelek loggers (TEK 643, 822, 871, 898, 908): a float or pressure gauge's reading, 0 to 1023.
// What it counts is register S26 of the device; with s26 (its hexadecimal text) in the metadata, also percent.

function reading(value, echoQuality, echoStrength, metadata) {
    var values = { value: value }, s26 = parseInt(metadata.s26, 16);
    if (s26 >= 0) {
        // bit 7: raw ADC; bit 6: tenths of a percent
        values.levelPercent = s26 & 0x80 ? Math.round(1000 * value / 1023) / 10 : s26 & 0x40 ? value / 10 : value;
    }
    return values;
}

var STATISTICS = [
    'iccid', 'energyMaMin', 'minTemperature', 'maxTemperature', 'messages', 'failedDeliveries',
    'sendSeconds', 'maxSendSeconds', 'minSendSeconds', 'rssiTotal', 'rssiOk', 'rssiFailed'
];

function about(attributes, metadata) {
    var fields = metadata.fields;
    if (metadata.messageName === 'status' && (metadata.deviceModel === 'TEK822' || metadata.deviceModel === 'TEK898')) {
        for (var i = 1; i < STATISTICS.length && i < fields.length; i++) {
            if (fields[i] !== '' && !isNaN(fields[i])) {
                attributes[STATISTICS[i]] = Number(fields[i]);
            }
        }
    }
    return attributes;
}

// --- common to the Tekelek converters -------------------------------------------------------------
