// Milesight EM500-SMTC: soil moisture, temperature and conductivity.
// Source: Milesight's user guide of EM500-SMTC, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'EM500-SMTC';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0367': [['temperature', -2, 10]],
    '0468': [['moisture', 1, 2]],
    '04ca': [['moisture', 2, 100, true]],
    '057f': [['conductivity', 2, 1, true]],
    '83d7': [['temperature', -2, 10], ['temperatureChange', -2, 10], ['temperatureAlarm', 1, { 0: 'threshold released', 1: 'threshold', 2: 'mutation' }]],
    '20ce': { history: [['conductivity', 2, 1, true], ['temperature', -2, 10], ['moisture', 2, 100, true]] }
};

// --- common to the Milesight converters -----------------------------------------------------------
