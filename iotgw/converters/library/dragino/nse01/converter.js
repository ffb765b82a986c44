// Dragino NSE01 and SE01-NB: soil moisture in %, temperature, conductivity in µS/cm, dielectric constant.
var MODEL = 'NSE01';

function first(frame, generation) {
    var values = {};
    if (generation === 'G0') {
        // the first firmware has no dielectric constant, the interrupt at the end, and at first nothing else
        frame.isUndated = frame.bytes.length - frame.at < 12;
        if (!frame.isUndated) {
            values.mode = next(frame, 1);
        }
        soil(frame, values);
        values.interrupt = next(frame, 1);
        return values;
    }
    values.mode = next(frame, 1);
    values.interrupt = next(frame, 1);
    if (frame.isNew) {
        values.interruptLevel = next(frame, 1);
    }
    soil(frame, values);
    values.dielectricConstant = next(frame, 2) / 10;
    return values;
}

function soil(frame, values) {
    values.soilMoisture = next(frame, 2) / 100;
    values.soilTemperature = temperature(next(frame, 2), 100);
    values.soilConductivity = next(frame, 2);
    return values;
}

function record(frame) {
    var values = soil(frame, {});
    values.dielectricConstant = next(frame, 2) / 10;
    return values;
}

// --- common to the Dragino converters -------------------------------------------------------------
