// Milesight AM107: air, light and activity.
// Source: Milesight's user guide of AM107, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'AM107';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0367': [['temperature', -2, 10]],
    '0468': [['humidity', 1, 2]],
    '056a': [['activity', 2]],
    '0665': [['illumination', 2], ['infraredAndVisible', 2], ['infrared', 2]],
    '077d': [['co2', 2]],
    '087d': [['tvoc', 2]],
    '0973': [['pressure', 2, 10]]
};

// --- common to the Milesight converters -----------------------------------------------------------
