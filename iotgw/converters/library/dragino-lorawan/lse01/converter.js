// Dragino LSE01: soil moisture, temperature and conductivity, with a probe.
// Source: Dragino, "LSE01 LoRaWAN Soil Moisture & EC Sensor User Manual".
var PORT = 2, SIZE = 11;

function read(bytes) {
    if (bytes[10] & 0x80) { // the probe's raw values, by the command that asks for them
        return {
            batteryVolts: (word(bytes, 0) & 0x3FFF) / 1000,
            probeTemperature: signed(bytes, 2) / 10,
            dielectricConstant: word(bytes, 4) / 10,
            rawMoisture: word(bytes, 6),
            rawConductivity: word(bytes, 8),
            interrupt: bytes[10] & 15
        };
    }
    return {
        batteryVolts: (word(bytes, 0) & 0x3FFF) / 1000,
        probeTemperature: signed(bytes, 2) / 10,
        soilMoisture: word(bytes, 4) / 100,
        soilTemperature: signed(bytes, 6) / 100,
        soilConductivity: word(bytes, 8),
        interrupt: bytes[10] & 15
    };
}

// --- common to the Dragino LoRaWAN converters -----------------------------------------------------
