// Decentlab DL-KL66: strain or weight by a vibrating wire; its constants in the variables f0 and k.
// Source: Decentlab, user guide of the DL-KL66, chapter "Payload" (catalogue.decentlab.com).
var GROUPS = [
    { words: 3, values: [
        ['counter', 0, 1],
        ['measurementInterval', 0, 32768],
        ['frequency', frequency],
        ['weight', weight],
        ['elongation', elongation],
        ['strain', strain]
    ] },
    { words: 1, values: [['batteryVolts', 0, 1000]] }
];
var CONSTANTS = { f0: 15383.72, k: 46.4859 };

// The wire's frequency in Hz: periods counted by the ticks of a clock of 32,768 Hz.
function frequency(x) {
    return x[0] / x[1] * 32768;
}

function weight(x, given) {
    return (Math.pow(frequency(x), 2) - Math.pow(given.f0, 2)) * given.k / 1e6;
}

function elongation(x, given) {
    return weight(x, given) * -1.5 / 1000 * 9.8067;
}

function strain(x, given) {
    return elongation(x, given) / 0.066;
}

// --- common to the Decentlab converters -----------------------------------------------------------
