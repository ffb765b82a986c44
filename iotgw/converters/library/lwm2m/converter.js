// What an lwm2m datasource makes of registrations, notifications, reads and Sends: its profile has given every value its name, and says
// which are telemetry and which attributes.
function Decoder(payload, metadata) {
    var message = decodeToJson(payload);
    var made = {
        deviceName: metadata.deviceName || message.endpoint,
        deviceType: metadata.deviceType || 'lwm2m'
    };
    if (message.error && !message.records && !message.telemetry && !message.attributes) {
        throw new Error('the datasource could not read it: ' + message.error);
    }
    if (message.attributes) {
        made.attributes = message.attributes;
    }
    var records = message.records || [{ts: message.ts, values: message.values, telemetry: message.telemetry}];
    made.telemetry = [];
    for (var i = 0; i < records.length; i++) {
        if (records[i].telemetry && Object.keys(records[i].telemetry).length > 0) {
            made.telemetry.push({ts: records[i].ts, values: records[i].telemetry});
        }
    }
    return made.telemetry.length > 0 || made.attributes ? made : null;
}
