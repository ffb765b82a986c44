// Milesight EM300-CL: capacitive liquid level.
// Source: Milesight's user guide of EM300-CL, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'EM300-CL';

var CHANNELS = {
    '0175': [['battery', 1]],
    '03ed': [['liquid', 1, { 0: 'uncalibrated', 1: 'full', 2: 'critical', 255: 'error' }]],
    '04ee': [['calibration', 1, { 0: 'failed', 1: 'success' }]],
    '83ed': [['liquid', 1, { 0: 'uncalibrated', 1: 'full', 2: 'critical', 255: 'error' }], ['liquidAlarm', 1, { 0: 'released', 1: 'critical' }]]
};

// --- common to the Milesight converters -----------------------------------------------------------
