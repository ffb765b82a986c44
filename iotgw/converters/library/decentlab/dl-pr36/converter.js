// Decentlab DL-PR36: pressure or level, and temperature; its scale in the variable kp.
// Source: Decentlab, user guide of the DL-PR36, chapter "Payload" (catalogue.decentlab.com).
var GROUPS = [
    { words: 2, values: [
        ['pressure', scaled],
        ['temperature', 32768, 256]
    ] },
    { words: 1, values: [['batteryVolts', 0, 1000]] }
];
var CONSTANTS = { kp: 8192 };

function scaled(x, given) {
    return (x[0] - 32768) / given.kp;
}

// --- common to the Decentlab converters -----------------------------------------------------------
