// Milesight AM319-HCHO: air, formaldehyde, particles, light and motion.
// Source: Milesight's user guide of AM319-HCHO, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'AM319-HCHO';

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
    '0a7d': [['hcho', 2, 100]],
    '0b7d': [['pm2_5', 2]],
    '0c7d': [['pm10', 2]],
    '20ce': { history: [['temperature', -2, 10], ['humidity', 2, 2], ['pir', 1, { 0: 'idle', 1: 'trigger' }], ['lightLevel', 1], ['co2', 2], ['tvoc', 2, 100], ['pressure', 2, 10], ['pm2_5', 2], ['pm10', 2], ['hcho', 2, 100]] },
    '21ce': { history: [['temperature', -2, 10], ['humidity', 2, 2], ['pir', 1, { 0: 'idle', 1: 'trigger' }], ['lightLevel', 1], ['co2', 2], ['tvocMass', 2], ['pressure', 2, 10], ['pm2_5', 2], ['pm10', 2], ['hcho', 2, 100]] }
};

// --- common to the Milesight converters -----------------------------------------------------------
