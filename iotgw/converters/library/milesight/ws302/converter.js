// Milesight WS302: sound level.
// Source: Milesight's user guide of WS302, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'WS302';

var CHANNELS = {
    '0175': [['battery', 1]],
    '055b': [['weighting', 1], ['soundLevel', 2, 10], ['soundLevelEquivalent', 2, 10], ['soundLevelMax', 2, 10]]
};

// --- common to the Milesight converters -----------------------------------------------------------
