// Dragino N95S31B, S31-NB and S31-CB: temperature and humidity.
var MODEL = 'N95S31B';

function first(frame, generation) {
    var values = { mode: next(frame, 1), temperatureProbe: temperature(next(frame, 2)) };
    if (frame.isNew) {
        values.inputLevel = next(frame, 1);
    }
    values.interrupt = next(frame, 1);
    if (frame.isNew) {
        values.interruptLevel = next(frame, 1);
    }
    values.adcVolts = next(frame, 2) / 1000;
    if (generation === 'G3') {
        values.count = next(frame, 4);
    }
    return climate(frame, values);
}

function climate(frame, values) {
    values.temperature = temperature(next(frame, 2));
    values.humidity = next(frame, 2) / 10;
    return values;
}

function record(frame) {
    return climate(frame, {});
}

// --- common to the Dragino converters -------------------------------------------------------------
