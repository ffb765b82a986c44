// Tekelek ultrasonic sensors (TEK 586, 733, 733A, 766, 811 and kin): ullage in cm, from the sensor down.
// With tankHeight (cm) in the metadata, also the level in cm and percent.

function reading(value, echoQuality, echoStrength, metadata) {
    var values = { echoQuality: echoQuality, echoStrength: echoStrength };
    if (echoQuality === 0) {
        // no echo came back: there is nothing to measure
        return values;
    }
    values.ullage = value;
    if (metadata.tankHeight > 0) {
        values.level = Math.max(0, metadata.tankHeight - value);
        values.levelPercent = Math.round(1000 * values.level / metadata.tankHeight) / 10;
    }
    return values;
}

function about(attributes, metadata) {
    attributes.tankHeight = metadata.tankHeight;
    if (metadata.messageName === 'status' && metadata.fields) {
        attributes.modemFirmware = metadata.fields[1];
    }
    return attributes;
}

// --- common to the Tekelek converters -------------------------------------------------------------
