// Dragino LDDS75: ultrasonic distance, with a probe.
// Source: Dragino, "LDDS75 LoRaWAN Distance Detection Sensor User Manual" (firmware 1.1.4 and later).
var PORT = 2, SIZE = 8;

function read(bytes) {
    var values = { batteryVolts: (word(bytes, 0) & 0x3FFF) / 1000, interrupt: bytes[4], probeTemperature: signed(bytes, 5) / 10 };
    var distance = word(bytes, 2);
    values.sensorFound = bytes[7] === 1 && distance !== 0;
    if (values.sensorFound && distance !== 20) { // 20 is the sign of an invalid measurement
        values.distance = distance;
    }
    return values;
}

// --- common to the Dragino LoRaWAN converters -----------------------------------------------------
