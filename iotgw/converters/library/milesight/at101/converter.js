// Milesight AT101: outdoor asset tracker (position by GNSS).
// Source: Milesight's user guide of AT101, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'AT101';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0367': [['temperature', -2, 10]],
    '0488': [['latitude', -4, 1000000], ['longitude', -4, 1000000], ['motion', 1]],
    '0500': [['position', 1, { 0: 'normal', 1: 'tilt' }]],
    '0700': [['tamperStatus', 1, { 0: 'installed', 1: 'uninstalled' }]],
    '8367': [['temperature', -2, 10], ['temperatureAlarm', 1, { 0: 'released', 1: 'threshold' }]],
    '20ce': { history: [['longitude', -4, 1000000], ['latitude', -4, 1000000]] }
};

// --- common to the Milesight converters -----------------------------------------------------------
