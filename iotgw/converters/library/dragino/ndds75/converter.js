// Dragino NDDS75, NDDS20 and kin (DDS20-NB, DDS45-NB, DDS75-NB, DDS75-CB, MDS120-NB): distance in mm.
var MODEL = 'NDDS75';

function first(frame) {
    var values = { mode: next(frame, 1), interrupt: next(frame, 1) };
    if (frame.isNew) {
        values.interruptLevel = next(frame, 1);
    }
    values.distance = next(frame, 2);
    return values;
}

function record(frame) {
    return { distance: next(frame, 2) };
}

// --- common to the Dragino converters -------------------------------------------------------------
