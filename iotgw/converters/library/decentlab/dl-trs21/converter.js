// Decentlab DL-TRS21: soil water potential and temperature.
// Source: Decentlab, user guide of the DL-TRS21, chapter "Payload" (catalogue.decentlab.com).
var GROUPS = [
    { words: 2, values: [
        ['waterPotential', 0, -10],
        ['soilTemperature', 32768, 10]
    ] },
    { words: 1, values: [['batteryVolts', 0, 1000]] }
];
var CONSTANTS = {};

// --- common to the Decentlab converters -----------------------------------------------------------
