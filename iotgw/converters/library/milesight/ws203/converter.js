// Milesight WS203: occupancy, temperature and humidity.
// Source: Milesight's user guide of WS203, and the table of channels in its README (github.com/Milesight-IoT/SensorDecoders).
var MODEL = 'WS203';

var CHANNELS = {
    '0175': [['battery', 1]],
    '0367': [['temperature', -2, 10]],
    '0468': [['humidity', 1, 2]],
    '0500': [['occupancy', 1, { 0: 'vacant', 1: 'occupied' }]],
    '8367': [['temperature', -2, 10], ['temperatureAlarm', 1, { 0: 'released', 1: 'threshold' }]],
    '20ce': { history: [['reportType', 1], ['occupancy', 1, { 0: 'vacant', 1: 'occupied' }], ['temperature', -2, 10], ['humidity', 1, 2]] }
};

// --- common to the Milesight converters -----------------------------------------------------------
