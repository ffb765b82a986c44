// Milesight VS330: occupancy by time of flight.
// Source: Milesight's user guide of VS330, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'VS330';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0282': [['distance', 2]],
    '038e': [['occupancy', 1, { 0: 'vacant', 1: 'occupied' }]],
    '048e': [['calibration', 1, { 0: 'failed', 1: 'success' }]]
};

// --- common to the Milesight converters -----------------------------------------------------------
