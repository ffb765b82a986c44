// Milesight WT101: radiator thermostat.
// Source: Milesight's user guide of WT101, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'WT101';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0367': [['temperature', -2, 10]],
    '0467': [['targetTemperature', -2, 10]],
    '0592': [['valveOpening', 1]],
    '0600': [['tamperStatus', 1, { 0: 'installed', 1: 'uninstalled' }]],
    '0700': [['window', 1, { 0: 'normal', 1: 'open' }]],
    '08e5': [['motorCalibration', 1]],
    '0990': [['motorStroke', 2]],
    '0a00': [['freezeProtection', 1, { 0: 'normal', 1: 'triggered' }]],
    '0b90': [['motorPosition', 2]]
};

// --- common to the Milesight converters -----------------------------------------------------------
