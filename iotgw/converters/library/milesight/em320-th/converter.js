// Milesight EM320-TH: temperature and humidity.
// Source: Milesight's user guide of EM320-TH, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'EM320-TH';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0367': [['temperature', -2, 10]],
    '0468': [['humidity', 1, 2]],
    '20ce': { history: [['temperature', -2, 10], ['humidity', 1, 2]] }
};

// --- common to the Milesight converters -----------------------------------------------------------
