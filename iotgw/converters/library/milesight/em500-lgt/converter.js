// Milesight EM500-LGT: illumination.
// Source: Milesight's user guide of EM500-LGT, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'EM500-LGT';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0394': [['illumination', 4]],
    '20ce': { history: [['illumination', 4]] }
};

// --- common to the Milesight converters -----------------------------------------------------------
