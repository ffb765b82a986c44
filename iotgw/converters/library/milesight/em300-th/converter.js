// Milesight EM300-TH: temperature and humidity.
// Source: Milesight's user guide of EM300-TH, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'EM300-TH';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0367': [['temperature', -2, 10]],
    '0468': [['humidity', 1, 2]],
    '20ce': { history: [['temperature', -2, 10], ['humidity', 1, 2], [null, 1]] }
};

// --- common to the Milesight converters -----------------------------------------------------------
