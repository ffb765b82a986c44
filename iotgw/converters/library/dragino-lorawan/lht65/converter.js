// Dragino LHT65: temperature and humidity, with a probe.
// Source: Dragino, "LHT65 LoRaWAN Temperature & Humidity Sensor User Manual".
var PORT = 2, SIZE = 11;

function read(bytes) {
    var values = {
        batteryVolts: (word(bytes, 0) & 0x3FFF) / 1000,
        batteryStatus: bytes[0] >> 6,
        temperature: signed(bytes, 2) / 100,
        humidity: word(bytes, 4) / 10
    };
    switch (bytes[6] & 0x7F) {
    case 1: // the temperature probe E1 or E3
        if (word(bytes, 7) !== 0x7FFF) {
            values.probeTemperature = signed(bytes, 7) / 100;
        }
        break;
    case 4: // the interrupt probe E4
        values.inputLevel = bytes[7];
        values.interrupt = bytes[8];
        break;
    case 5: // the illumination probe E5
        values.illumination = word(bytes, 7);
        break;
    case 6: // the ADC probe E6
        values.adcVolts = word(bytes, 7) / 1000;
        break;
    case 7: // the counting probe E7
        values.count = word(bytes, 7);
        break;
    case 8: // the same with 32 bits
        values.count = word(bytes, 7) * 65536 + word(bytes, 9);
        break;
    default:
    }
    return values;
}

// --- common to the Dragino LoRaWAN converters -----------------------------------------------------
