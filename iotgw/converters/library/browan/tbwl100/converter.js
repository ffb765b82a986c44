// Browan TBWL100: water leak, temperature and humidity.
// Source: Browan, reference manual of the TABS TBWL100.
var PORT = 106, SIZE = 5;

function read(bytes) {
    return {
        leak: (bytes[0] & 1) === 1,
        batteryVolts: batteryVolts(bytes[1]),
        boardTemperature: celsius(bytes[2]),
        humidity: bytes[3] & 127,
        temperature: celsius(bytes[4])
    };
}

// --- common to the Browan converters --------------------------------------------------------------
