// Milesight VS133: people counted over lines and in regions.
// Source: Milesight's user guide of VS133, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'VS133';

var CHANNELS = {
    '0175': [['battery', 1]],
    '03d2': [['line1TotalIn', 4]],
    '04d2': [['line1TotalOut', 4]],
    '05cc': [['line1PeriodIn', 2], ['line1PeriodOut', 2]],
    '06d2': [['line2TotalIn', 4]],
    '07d2': [['line2TotalOut', 4]],
    '08cc': [['line2PeriodIn', 2], ['line2PeriodOut', 2]],
    '09d2': [['line3TotalIn', 4]],
    '0ad2': [['line3TotalOut', 4]],
    '0bcc': [['line3PeriodIn', 2], ['line3PeriodOut', 2]],
    '0cd2': [['line4TotalIn', 4]],
    '0dd2': [['line4TotalOut', 4]],
    '0ecc': [['line4PeriodIn', 2], ['line4PeriodOut', 2]],
    '0fe3': [['region1Count', 1], ['region2Count', 1], ['region3Count', 1], ['region4Count', 1]],
    '10e4': [['#', 1], ['region#DwellAverage', 2], ['region#DwellMaximum', 2]]
};

// --- common to the Milesight converters -----------------------------------------------------------
