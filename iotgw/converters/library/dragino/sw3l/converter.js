// Dragino SW3L: water flow. Pulses in all; the flag says how many make a litre, and is 0 when unset.
var MODEL = 'SW3L';

function first(frame) {
    var values = {
        inputPA4: next(frame, 1),
        inputPB15: next(frame, 1),
        alarm: next(frame, 1),
        mode: next(frame, 1)
    };
    frame.pulsesPerLitre = next(frame, 2);
    values.calculateFlag = frame.pulsesPerLitre;
    return flow(frame, values);
}

function flow(frame, values) {
    values.pulses = next(frame, 4);
    if (frame.pulsesPerLitre) {
        values.litres = values.pulses / frame.pulsesPerLitre;
    }
    return values;
}

function record(frame) {
    return flow(frame, {});
}

// --- common to the Dragino converters -------------------------------------------------------------
