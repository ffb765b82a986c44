// Milesight VS340: desk occupancy.
// Source: Milesight's user guide of VS340, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'VS340';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0300': [['occupancy', 1, { 0: 'vacant', 1: 'occupied' }]]
};

// --- common to the Milesight converters -----------------------------------------------------------
