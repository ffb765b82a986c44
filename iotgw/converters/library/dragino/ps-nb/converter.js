// Dragino PS-NB and PS-CB: a pressure or level probe with 4-20 mA or voltage output.
var MODEL = 'PS-NB';

function first(frame, generation) {
    var values = {};
    if (!frame.isNew) {
        values.probe = next(frame, 2);
    }
    values.input1 = next(frame, 1);
    values.input2 = next(frame, 1);
    values.interruptLevel = next(frame, 1);
    values.interrupt = next(frame, 1);
    if (frame.isNew) {
        // firmware before 1.3 has no alarms; its frames' length tells
        if (generation === 'G3' || (frame.bytes.length - frame.at) % 8 === 4) {
            values.currentAlarm = next(frame, 1);
            values.voltageAlarm = next(frame, 1);
        }
        values.probe = next(frame, 2);
    }
    if (generation === 'G3') {
        position(frame, values);
    }
    return reading(frame, values);
}

function reading(frame, values) {
    values.currentMilliamps = next(frame, 2) / 1000;
    values.volts = next(frame, 2) / 1000;
    return values;
}

function record(frame) {
    return reading(frame, {});
}

// --- common to the Dragino converters -------------------------------------------------------------
