// Milesight EM310-UDL: ultrasonic distance.
// Source: Milesight's user guide of EM310-UDL, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'EM310-UDL';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0382': [['distance', 2, 1, true]],
    '0400': [['position', 1, { 0: 'normal', 1: 'tilt' }]]
};

// --- common to the Milesight converters -----------------------------------------------------------
