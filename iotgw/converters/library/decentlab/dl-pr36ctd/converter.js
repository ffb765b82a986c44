// Decentlab DL-PR36CTD: pressure or level, temperature and conductivity; its scales in the variables kp and kec.
// Source: Decentlab, user guide of the DL-PR36CTD, chapter "Payload" (catalogue.decentlab.com).
var GROUPS = [
    { words: 4, values: [
        ['pressure', scaled],
        ['electronicsTemperature', 32768, 256],
        ['temperature', 32768, 256],
        ['electricalConductivity', conductivity]
    ] },
    { words: 1, values: [['batteryVolts', 0, 1000]] }
];
var CONSTANTS = { kp: 8192, kec: 1024 };

function scaled(x, given) {
    return (x[0] - 32768) / given.kp;
}

function conductivity(x, given) {
    return (x[3] - 32768) / given.kec;
}

// --- common to the Decentlab converters -----------------------------------------------------------
