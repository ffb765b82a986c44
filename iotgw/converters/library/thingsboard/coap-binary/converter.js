// 19 bytes: device name (0…5), device type (6…12), temperature (13…16), humidity (17…18), each as text.
function Decoder(payload, metadata) {
    if (payload.length !== 19) {
        throw new Error('expected 19 bytes, got ' + payload.length);
    }
    return {
        deviceName: decodeToString(payload.slice(0, 6)),
        deviceType: decodeToString(payload.slice(6, 13)),
        telemetry: {
            temperature: parseFloat(decodeToString(payload.slice(13, 17))),
            humidity: parseFloat(decodeToString(payload.slice(17)))
        }
    };
}
