// Milesight WS301: magnetic contact.
// Source: Milesight's user guide of WS301, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'WS301';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0300': [['magnetStatus', 1, { 0: 'close', 1: 'open' }]],
    '0400': [['tamperStatus', 1, { 0: 'installed', 1: 'uninstalled' }]]
};

// --- common to the Milesight converters -----------------------------------------------------------
