// Dragino LLMS01: leaf moisture and temperature, with a probe.
// Source: Dragino, "LLMS01 LoRaWAN Leaf Moisture Sensor User Manual".
var PORT = 2, SIZE = 11;

function read(bytes) {
    return {
        batteryVolts: (word(bytes, 0) & 0x3FFF) / 1000,
        probeTemperature: signed(bytes, 2) / 10,
        leafMoisture: word(bytes, 4) / 10,
        leafTemperature: signed(bytes, 6) / 10,
        interrupt: bytes[8],
        messageType: bytes[10]
    };
}

// --- common to the Dragino LoRaWAN converters -----------------------------------------------------
