// Milesight WS101: button.
// Source: Milesight's user guide of WS101, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'WS101';

var CHANNELS = {
    '0175': [['battery', 1]],
    'ff2e': [['buttonPress', 1, { 1: 'short', 2: 'long', 3: 'double' }]]
};

// --- common to the Milesight converters -----------------------------------------------------------
