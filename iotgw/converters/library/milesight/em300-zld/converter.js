// Milesight EM300-ZLD: zone leak detection, temperature and humidity.
// Source: Milesight's user guide of EM300-ZLD, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'EM300-ZLD';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0367': [['temperature', -2, 10]],
    '0468': [['humidity', 1, 2]],
    '0500': [['leakageStatus', 1, { 0: 'normal', 1: 'leak' }]],
    '20ce': { history: [['temperature', -2, 10], ['humidity', 1, 2], ['leakageStatus', 1, { 0: 'normal', 1: 'leak' }]] }
};

// --- common to the Milesight converters -----------------------------------------------------------
