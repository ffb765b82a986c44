// The converter that every contestant runs: the loader's binary record (tools/load.c) to ThingsBoard telemetry.
// ES5, so that Duktape runs it as it stands.
function Decoder(payload, metadata) {
    function uint(at, octets) {
        var value = 0;
        for (var i = 0; i < octets; i++) value = value * 256 + payload[at + i];
        return value;
    }
    return {
        deviceName: 'dev-' + uint(0, 4),
        deviceType: 'bench',
        telemetry: {
            seq: uint(4, 4),
            temperature: uint(8, 2) / 100,
            humidity: payload[10],
            flags: payload[11],
            battery: uint(12, 2) / 1000,
            t0: uint(16, 8)
        }
    };
}
