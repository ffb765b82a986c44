// Milesight EM500-CO2: CO2, temperature, humidity and pressure.
// Source: Milesight's user guide of EM500-CO2, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'EM500-CO2';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0367': [['temperature', -2, 10]],
    '0468': [['humidity', 1, 2]],
    '057d': [['co2', 2]],
    '0673': [['pressure', 2, 10]],
    '83d7': [['temperature', -2, 10], ['temperatureChange', -2, 10], ['temperatureAlarm', 1, { 0: 'threshold released', 1: 'threshold', 2: 'mutation' }]],
    '20ce': { history: [['co2', 2], ['pressure', 2, 10], ['temperature', -2, 10], ['humidity', 1, 2]] }
};

// --- common to the Milesight converters -----------------------------------------------------------
