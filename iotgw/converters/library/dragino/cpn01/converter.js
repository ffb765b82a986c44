// Dragino CPN01: dry contact. Pulses in all, and how long the contact was open last, in minutes.
var MODEL = 'CPN01';

function first(frame) {
    return {
        mode: next(frame, 1),
        calculateFlag: next(frame, 1),
        contact: next(frame, 1),
        alarm: next(frame, 1),
        pulses: next(frame, 3),
        lastOpenMinutes: next(frame, 3)
    };
}

function record(frame) {
    return {
        contact: next(frame, 1),
        pulses: next(frame, 3),
        calculateFlag: next(frame, 1),
        lastOpenMinutes: next(frame, 3)
    };
}

// --- common to the Dragino converters -------------------------------------------------------------
