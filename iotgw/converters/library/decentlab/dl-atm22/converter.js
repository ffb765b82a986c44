// Decentlab DL-ATM22: wind speed and direction, air temperature.
// Source: Decentlab, user guide of the DL-ATM22, chapter "Payload" (catalogue.decentlab.com).
var GROUPS = [
    { words: 8, values: [
        ['windSpeed', 32768, 100],
        ['windDirection', 32768, 10],
        ['maximumWindSpeed', 32768, 100],
        ['airTemperature', 32768, 10],
        ['xOrientationAngle', 32768, 10],
        ['yOrientationAngle', 32768, 10],
        ['northWindSpeed', 32768, 100],
        ['eastWindSpeed', 32768, 100]
    ] },
    { words: 1, values: [['batteryVolts', 0, 1000]] }
];
var CONSTANTS = {};

// --- common to the Decentlab converters -----------------------------------------------------------
