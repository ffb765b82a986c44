// Milesight WS202: motion and light.
// Source: Milesight's user guide of WS202, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'WS202';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0300': [['pir', 1, { 0: 'normal', 1: 'trigger' }]],
    '0400': [['daylight', 1, { 0: 'dark', 1: 'light' }]]
};

// --- common to the Milesight converters -----------------------------------------------------------
