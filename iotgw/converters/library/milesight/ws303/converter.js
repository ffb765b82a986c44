// Milesight WS303: mini leak detection.
// Source: Milesight's user guide of WS303, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'WS303';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0300': [['leakageStatus', 1, { 0: 'normal', 1: 'leak' }]]
};

// --- common to the Milesight converters -----------------------------------------------------------
