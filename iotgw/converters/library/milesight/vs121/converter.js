// Milesight VS121: people counted by a camera, in regions and between them.
// Source: Milesight's user guide of VS121, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'VS121';

var CHANNELS = {
    '0175': [['battery', 1]],
    'ff08': [['serialNumber', 'hex6']],
    'ff1f': [['firmwareVersion', 'hex4']],
    '04c9': [['peopleCount', 1], ['regionCount', 1], ['regionMask', 'hex2']],
    '05cc': [['peopleIn', 2], ['peopleOut', 2]],
    '06cd': [['peopleMaximum', 1]],
    '07d5': [['region1Count', 1], ['region2Count', 1], ['region3Count', 1], ['region4Count', 1], ['region5Count', 1], ['region6Count', 1], ['region7Count', 1], ['region8Count', 1]],
    '08d5': [['region9Count', 1], ['region10Count', 1], ['region11Count', 1], ['region12Count', 1], ['region13Count', 1], ['region14Count', 1], ['region15Count', 1], ['region16Count', 1]],
    '09da': [['aToA', 2], ['aToB', 2], ['aToC', 2], ['aToD', 2]],
    '0ada': [['bToA', 2], ['bToB', 2], ['bToC', 2], ['bToD', 2]],
    '0bda': [['cToA', 2], ['cToB', 2], ['cToC', 2], ['cToD', 2]],
    '0cda': [['dToA', 2], ['dToB', 2], ['dToC', 2], ['dToD', 2]],
    '0dcc': [['peopleTotalIn', 2], ['peopleTotalOut', 2]],
    '0ee4': [['#', 1], ['region#DwellAverage', 2], ['region#DwellMaximum', 2]],
    '0f85': [['measuredAt', 4]]
};

// --- common to the Milesight converters -----------------------------------------------------------
