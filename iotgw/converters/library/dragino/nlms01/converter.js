// Dragino NLMS01 and LMS01-NB: leaf moisture in % and leaf temperature.
var MODEL = 'NLMS01';

function first(frame) {
    var values = { mode: next(frame, 1), interrupt: next(frame, 1) };
    if (frame.isNew) {
        values.interruptLevel = next(frame, 1);
    }
    values.leafMoisture = next(frame, 2) / 10;
    values.leafTemperature = temperature(next(frame, 2));
    return values;
}

// the history has the temperature first, unlike the current values
function record(frame) {
    var leafTemperature = temperature(next(frame, 2));
    return { leafMoisture: next(frame, 2) / 10, leafTemperature: leafTemperature };
}

// --- common to the Dragino converters -------------------------------------------------------------
