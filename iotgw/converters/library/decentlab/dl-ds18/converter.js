// Decentlab DL-DS18: temperature.
// Source: Decentlab, user guide of the DL-DS18, chapter "Payload" (catalogue.decentlab.com).
var GROUPS = [
    { words: 1, values: [
        ['temperature', 32768, 16]
    ] },
    { words: 1, values: [['batteryVolts', 0, 1000]] }
];
var CONSTANTS = {};

// --- common to the Decentlab converters -----------------------------------------------------------
