// Milesight VS370: occupancy by radar, and light.
// Source: Milesight's user guide of VS370, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'VS370';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0300': [['occupancy', 1, { 0: 'vacant', 1: 'occupied' }]],
    '0400': [['illuminance', 1, { 0: 'dim', 1: 'bright', 254: 'disabled' }]]
};

// --- common to the Milesight converters -----------------------------------------------------------
