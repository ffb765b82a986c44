// Decentlab DL-PR26: pressure or level, and temperature; its range in the variables Pmin and Pmax (bar).
// Source: Decentlab, user guide of the DL-PR26, chapter "Payload" (catalogue.decentlab.com).
var GROUPS = [
    { words: 2, values: [
        ['pressure', range],
        ['temperature', keller]
    ] },
    { words: 1, values: [['batteryVolts', 0, 1000]] }
];
var CONSTANTS = { Pmin: 0, Pmax: 1 };

// A transmitter of Keller's D line: 16384 is the lower end of its range, 49152 the upper.
function range(x, given) {
    return (x[0] - 16384) / 32768 * (given.Pmax - given.Pmin) + given.Pmin;
}

function keller(x) {
    return (x[1] - 384) * 0.003125 - 50;
}

// --- common to the Decentlab converters -----------------------------------------------------------
