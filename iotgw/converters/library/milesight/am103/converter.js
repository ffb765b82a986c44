// Milesight AM103: temperature, humidity and CO2.
// Source: Milesight's user guide of AM103, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'AM103';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0367': [['temperature', -2, 10]],
    '0468': [['humidity', 1, 2]],
    '077d': [['co2', 2]],
    '20ce': { history: [['temperature', -2, 10], ['humidity', 1, 2], ['co2', 2]] }
};

// --- common to the Milesight converters -----------------------------------------------------------
