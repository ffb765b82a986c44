// {"deviceName": "SN-001", "deviceType": "default", "temperature": 25.7, "humidity": 69}
function Decoder(payload, metadata) {
    var data = decodeToJson(payload);
    return {
        deviceName: data.deviceName,
        deviceType: data.deviceType,
        telemetry: {temperature: data.temperature, humidity: data.humidity}
    };
}
