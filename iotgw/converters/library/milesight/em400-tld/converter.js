// Milesight EM400-TLD: time-of-flight distance, temperature and tilt; LoRaWAN and NB-IoT.
// Source: Milesight's user guide of EM400-TLD, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'EM400-TLD';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0367': [['temperature', -2, 10]],
    '0482': [['distance', 2, 1, true]],
    '0500': [['position', 1, { 0: 'normal', 1: 'tilt' }]],
    '8367': [['temperature', -2, 10], ['temperatureAlarm', 1, { 0: 'released', 1: 'threshold' }]],
    '8482': [['distance', 2, 1, true], ['distanceAlarm', 1, { 0: 'released', 1: 'threshold' }]]
};

// --- common to the Milesight converters -----------------------------------------------------------
