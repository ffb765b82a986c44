// Milesight GS301: ammonia and hydrogen sulfide, temperature and humidity.
// Source: Milesight's user guide of GS301, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'GS301';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0267': [['temperature', -2, 10]],
    '0368': [['humidity', 1, 2]],
    '047d': [['nh3', 2, 100, true]],
    '057d': [['h2s', 2, 100, true]],
    '067d': [['h2s', 2, 1000, true]]
};

// --- common to the Milesight converters -----------------------------------------------------------
