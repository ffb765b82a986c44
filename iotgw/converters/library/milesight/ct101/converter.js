// Milesight CT101: current by a clamp, and temperature.
// Source: Milesight's user guide of CT101, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'CT101';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0397': [['totalCurrent', 4, 100]],
    '0498': [['current', 2, 100, true]],
    '0967': [['temperature', -2, 10]],
    '8498': [['currentMaximum', 2, 100], ['currentMinimum', 2, 100], ['current', 2, 100], ['currentAlarm', 1]],
    '8967': [['temperature', -2, 10], ['temperatureAlarm', 1, { 0: 'released', 1: 'threshold' }]]
};

// --- common to the Milesight converters -----------------------------------------------------------
