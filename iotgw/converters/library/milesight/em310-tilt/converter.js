// Milesight EM310-TILT: tilt in three axes.
// Source: Milesight's user guide of EM310-TILT, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'EM310-TILT';

var CHANNELS = {
    '0175': [['battery', 1]],
    '03cf': [['angleX', -2, 100], ['angleY', -2, 100], ['angleZ', -2, 100], ['thresholds', 1]]
};

// --- common to the Milesight converters -----------------------------------------------------------
