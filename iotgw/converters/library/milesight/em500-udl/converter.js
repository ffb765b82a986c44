// Milesight EM500-UDL: ultrasonic distance.
// Source: Milesight's user guide of EM500-UDL, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'EM500-UDL';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0382': [['distance', 2, 1, true]],
    '20ce': { history: [['distance', 2, 1, true]] }
};

// --- common to the Milesight converters -----------------------------------------------------------
