// Browan TBHH100: temperature and humidity.
// Source: Browan, reference manual of the TABS TBHH100.
var PORT = 103, SIZE = 4;

function read(bytes) {
    return {
        batteryVolts: batteryVolts(bytes[1]),
        temperature: celsius(bytes[2]),
        humidity: bytes[3] & 127
    };
}

// --- common to the Browan converters --------------------------------------------------------------
