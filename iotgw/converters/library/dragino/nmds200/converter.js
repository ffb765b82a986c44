// Dragino NMDS200 and MDS200-NB: two microwave distances in mm.
var MODEL = 'NMDS200';

function first(frame) {
    var values = { mode: next(frame, 1), interrupt: next(frame, 1) };
    if (frame.isNew) {
        values.interruptLevel = next(frame, 1);
    }
    values.distance1 = next(frame, 2);
    values.distance2 = next(frame, 2);
    return values;
}

function record(frame) {
    return { distance1: next(frame, 2), distance2: next(frame, 2) };
}

// --- common to the Dragino converters -------------------------------------------------------------
