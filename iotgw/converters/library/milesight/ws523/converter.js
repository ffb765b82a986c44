// Milesight WS523: portable smart socket.
// Source: Milesight's user guide of WS523, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'WS523';

var CHANNELS = {
    '0374': [['voltage', 2, 10]],
    '0480': [['activePower', 4]],
    '0581': [['powerFactor', 1]],
    '0683': [['energy', 4]],
    '07c9': [['current', 2]],
    '0870': [['socketStatus', 1, { 0: 'off', 1: 'on' }]]
};

// --- common to the Milesight converters -----------------------------------------------------------
