// "SN-001,default,temperature,25.7,humidity,69": device name, device type, then pairs of key and value.
function Decoder(payload, metadata) {
    var parts = decodeToString(payload).split(',');
    if (parts.length < 2 || parts.length % 2) {
        throw new Error('expected "name,type,key,value,…", got ' + parts.length + ' parts');
    }
    var telemetry = {};
    for (var i = 2; i < parts.length; i += 2) {
        var number = Number(parts[i + 1]);
        telemetry[parts[i]] = isNaN(number) ? parts[i + 1] : number;
    }
    return {deviceName: parts[0], deviceType: parts[1], telemetry: telemetry};
}
