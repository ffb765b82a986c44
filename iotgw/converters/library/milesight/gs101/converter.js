// Milesight GS101: gas alarm.
// Source: Milesight's user guide of GS101, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'GS101';

var CHANNELS = {
    '058e': [['gasStatus', 1, { 0: 'normal', 1: 'alarm' }]],
    '0601': [['valveStatus', 1, { 0: 'off', 1: 'on' }]],
    '0701': [['relayStatus', 1, { 0: 'off', 1: 'on' }]],
    '0890': [['lifeRemaining', 4]],
    'ff3f': [['alarm', 1, { 0: 'power off', 1: 'power on', 2: 'sensor fault', 3: 'sensor fault recovered', 4: 'sensor soon invalid', 5: 'device invalid' }]]
};

// --- common to the Milesight converters -----------------------------------------------------------
