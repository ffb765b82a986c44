// Milesight EM300-MCS: magnetic contact, temperature and humidity.
// Source: Milesight's user guide of EM300-MCS, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'EM300-MCS';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0367': [['temperature', -2, 10]],
    '0468': [['humidity', 1, 2]],
    '0600': [['magnetStatus', 1, { 0: 'close', 1: 'open' }]],
    '20ce': { history: [['temperature', -2, 10], ['humidity', 1, 2], ['magnetStatus', 1, { 0: 'close', 1: 'open' }]] }
};

// --- common to the Milesight converters -----------------------------------------------------------
