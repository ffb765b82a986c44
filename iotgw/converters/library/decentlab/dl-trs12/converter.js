// Decentlab DL-TRS12: soil moisture, temperature and conductivity.
// Source: Decentlab, user guide of the DL-TRS12, chapter "Payload" (catalogue.decentlab.com).
var GROUPS = [
    { words: 3, values: [
        ['dielectricPermittivity', permittivity],
        ['volumetricWaterContent', waterContent],
        ['soilTemperature', soilTemperature],
        ['electricalConductivity', electricalConductivity]
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

function electricalConductivity(x) {
    return x[2];
}

// --- common to the Decentlab converters -----------------------------------------------------------
