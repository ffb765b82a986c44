// Dragino NDS01 door sensor: its own "KW" format, a registration or an event.
function Decoder(payload, metadata) {
    var attributes = { vendor: 'Dragino', model: 'NDS01', generation: 'KW' };
    var values = {}, at = 21;

    function text(size) {
        var out = '';
        for (var end = at + size; at < end; at++) {
            out += String.fromCharCode(payload[at]);
        }
        return out;
    }

    if (metadata.generation !== 'KW') {
        throw new Error('expected a KW frame of an NDS01, got ' + metadata.generation);
    }
    if (payload[3] === 1) {
        attributes.imsi = text(15);
        attributes.iccid = text(20);
    } else {
        values.event = payload[at++];
        values.doorOpen = payload[at++];
    }
    values.batteryVolts = payload[at++] / 10;
    values.csq = payload[at++];
    return { deviceName: metadata.imei, deviceType: 'NDS01', attributes: attributes, telemetry: values };
}
