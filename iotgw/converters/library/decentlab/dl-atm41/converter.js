// Decentlab DL-ATM41: weather station: sun, rain, lightning, wind, air.
// Source: Decentlab, user guide of the DL-ATM41, chapter "Payload" (catalogue.decentlab.com).
var GROUPS = [
    { words: 17, values: [
        ['solarRadiation', 32768, 1],
        ['precipitation', 32768, 1000],
        ['lightningStrikeCount', 32768, 1],
        ['lightningAverageDistance', 32768, 1],
        ['windSpeed', 32768, 100],
        ['windDirection', 32768, 10],
        ['maximumWindSpeed', 32768, 100],
        ['airTemperature', 32768, 10],
        ['vaporPressure', 32768, 100],
        ['atmosphericPressure', 32768, 100],
        ['relativeHumidity', 32768, 10],
        ['internalTemperature', 32768, 10],
        ['xOrientationAngle', 32768, 10],
        ['yOrientationAngle', 32768, 10],
        ['compassHeading', 32768, 1],
        ['northWindSpeed', 32768, 100],
        ['eastWindSpeed', 32768, 100]
    ] },
    { words: 1, values: [['batteryVolts', 0, 1000]] }
];
var CONSTANTS = {};

// --- common to the Decentlab converters -----------------------------------------------------------
