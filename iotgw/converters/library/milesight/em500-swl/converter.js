// Milesight EM500-SWL: submersible water level.
// Source: Milesight's user guide of EM500-SWL, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'EM500-SWL';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0377': [['depth', 2]],
    '20ce': { history: [['depth', 2]] }
};

// --- common to the Milesight converters -----------------------------------------------------------
