// Dragino NDS03A and DS03A-NB: one door, or two in mode 2. Openings in all, minutes open last.
var MODEL = 'NDS03A';

function first(frame) {
    var values = { mode: next(frame, 1) };
    frame.doors = values.mode === 2 ? 2 : 1;
    for (var door = 1; door <= frame.doors; door++) {
        var suffix = door === 1 ? '' : '2';
        values['doorOpen' + suffix] = next(frame, 1);
        values['alarm' + suffix] = next(frame, 1);
        counts(frame, values, suffix);
    }
    return values;
}

function counts(frame, values, suffix) {
    values['openings' + suffix] = next(frame, 3);
    values['lastOpenMinutes' + suffix] = next(frame, 3);
}

function record(frame) {
    var values = {};
    for (var door = 1; door <= frame.doors; door++) {
        var suffix = door === 1 ? '' : '2';
        values['doorOpen' + suffix] = next(frame, 1);
        counts(frame, values, suffix);
    }
    return values;
}

// --- common to the Dragino converters -------------------------------------------------------------
