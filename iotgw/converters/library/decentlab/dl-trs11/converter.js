// Decentlab DL-TRS11: soil moisture and temperature.
// Source: Decentlab, user guide of the DL-TRS11, chapter "Payload" (catalogue.decentlab.com).
var GROUPS = [
    { words: 2, values: [
        ['dielectricPermittivity', permittivity],
        ['volumetricWaterContent', waterContent],
        ['soilTemperature', soilTemperature]
    ] },
    { words: 1, values: [['batteryVolts', 0, 1000]] }
];
var CONSTANTS = {};

// The probe's raw value has one decimal; Meter's calibration for mineral soil.
function permittivity(x) {
    var raw = x[0] / 10;
    return Math.pow(2.887e-9 * raw * raw * raw - 2.08e-5 * raw * raw + 5.276e-2 * raw - 43.39, 2);
}

function waterContent(x) {
    return 3.879e-4 * x[0] / 10 - 0.6956;
}

function soilTemperature(x) {
    return (x[1] - 32768) / 10;
}

// --- common to the Decentlab converters -----------------------------------------------------------
