// Milesight TS101: insertion temperature.
// Source: Milesight's user guide of TS101, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'TS101';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0367': [['temperature', -2, 10]]
};

// --- common to the Milesight converters -----------------------------------------------------------
