// Decentlab DL-CTD10: water depth, temperature and conductivity.
// Source: Decentlab, user guide of the DL-CTD10, chapter "Payload" (catalogue.decentlab.com).
var GROUPS = [
    { words: 4, values: [
        ['waterDepth', 32768, 1],
        ['temperature', 32768, 10],
        ['electricalConductivity', 0, 1],
        ['freezingFlag', 0, 1]
    ] },
    { words: 1, values: [['batteryVolts', 0, 1000]] }
];
var CONSTANTS = {};

// --- common to the Decentlab converters -----------------------------------------------------------
