// Dragino LSPH01: pH and temperature of the soil, with a probe.
// Source: Dragino, "LSPH01 LoRaWAN Soil pH Sensor User Manual".
var PORT = 2, SIZE = 11;

function read(bytes) {
    return {
        batteryVolts: (word(bytes, 0) & 0x3FFF) / 1000,
        probeTemperature: signed(bytes, 2) / 10,
        soilPh: word(bytes, 4) / 100,
        soilTemperature: signed(bytes, 6) / 10,
        interrupt: bytes[8],
        messageType: bytes[10]
    };
}

// --- common to the Dragino LoRaWAN converters -----------------------------------------------------
