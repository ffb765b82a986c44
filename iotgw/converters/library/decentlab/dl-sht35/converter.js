// Decentlab DL-SHT35: air temperature and humidity.
// Source: Decentlab, user guide of the DL-SHT35, chapter "Payload" (catalogue.decentlab.com).
var GROUPS = [
    { words: 2, values: [
        ['airTemperature', celsius],
        ['airHumidity', percent]
    ] },
    { words: 1, values: [['batteryVolts', 0, 1000]] }
];
var CONSTANTS = {};

// Sensirion's SHT3x, whole ranges in 16 bits.
function celsius(x) {
    return 175 * x[0] / 65535 - 45;
}

function percent(x) {
    return 100 * x[1] / 65535;
}

// --- common to the Decentlab converters -----------------------------------------------------------
