// Browan TBMS100: motion (room occupancy).
// Source: Browan, reference manual of the TABS TBMS100.
var PORT = 102, SIZE = 8;

function read(bytes) {
    return {
        occupied: (bytes[0] & 1) === 1,
        batteryVolts: batteryVolts(bytes[1]),
        temperature: celsius(bytes[2]),
        minutesSince: little(bytes, 3, 2),
        count: little(bytes, 5, 3)
    };
}

// --- common to the Browan converters --------------------------------------------------------------
