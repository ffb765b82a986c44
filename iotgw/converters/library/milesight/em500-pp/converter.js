// Milesight EM500-PP: pipe pressure.
// Source: Milesight's user guide of EM500-PP, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'EM500-PP';

var CHANNELS = {
    '0175': [['battery', 1]],
    '037b': [['pressure', 2]]
};

// --- common to the Milesight converters -----------------------------------------------------------
