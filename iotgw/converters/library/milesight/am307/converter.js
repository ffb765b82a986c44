// Milesight AM307: air, light and motion.
// Source: Milesight's user guide of AM307, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'AM307';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0367': [['temperature', -2, 10]],
    '0468': [['humidity', 1, 2]],
    '0500': [['pir', 1, { 0: 'idle', 1: 'trigger' }]],
    '06cb': [['lightLevel', 1]],
    '077d': [['co2', 2]],
    '087d': [['tvoc', 2, 100]],
    '08e6': [['tvocMass', 2]],
    '0973': [['pressure', 2, 10]],
    '0e01': [['buzzer', 1, { 0: 'off', 1: 'on' }]],
    '20ce': { history: [['temperature', -2, 10], ['humidity', 2, 2], ['pir', 1, { 0: 'idle', 1: 'trigger' }], ['lightLevel', 1], ['co2', 2], ['tvoc', 2, 100], ['pressure', 2, 10]] },
    '21ce': { history: [['temperature', -2, 10], ['humidity', 2, 2], ['pir', 1, { 0: 'idle', 1: 'trigger' }], ['lightLevel', 1], ['co2', 2], ['tvocMass', 2], ['pressure', 2, 10]] }
};

// --- common to the Milesight converters -----------------------------------------------------------
