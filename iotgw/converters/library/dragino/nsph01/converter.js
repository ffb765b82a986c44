// Dragino NSPH01 and SPH01-NB: pH and temperature of the soil.
var MODEL = 'NSPH01';

function first(frame) {
    var values = { mode: next(frame, 1), interrupt: next(frame, 1) };
    if (frame.isNew) {
        values.interruptLevel = next(frame, 1);
    }
    return acidity(frame, values);
}

function acidity(frame, values) {
    values.soilPh = next(frame, 2) / 100;
    values.soilTemperature = temperature(next(frame, 2));
    return values;
}

function record(frame) {
    return acidity(frame, {});
}

// --- common to the Dragino converters -------------------------------------------------------------
