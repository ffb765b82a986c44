// Milesight EM500-PT100: temperature of a PT100.
// Source: Milesight's user guide of EM500-PT100, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'EM500-PT100';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0367': [['temperature', -2, 10]],
    '83d7': [['temperature', -2, 10], ['temperatureChange', -2, 10], ['temperatureAlarm', 1, { 0: 'threshold released', 1: 'threshold', 2: 'mutation' }]],
    '20ce': { history: [['temperature', -2, 10]] }
};

// --- common to the Milesight converters -----------------------------------------------------------
