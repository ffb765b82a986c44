// Milesight's gateways give their decoders a global `LoRaObject` with what is known of the uplink (SensorDecoders,
// LoRaObject.md); loaded for scripts that name it.
var lora = {};
function loraOf(metadata, received) {
  var known = parse(stringify(metadata));
  if (known.devEUI === undefined) known.devEUI = metadata.devEui;
  if (known.time === undefined) known.time = new NewDate(received).toISOString();
  if (known.fPort === undefined) known.fPort = portOf(metadata);
  return known;
}
defineProperty(globalThis, 'LoRaObject', {get: function LoRaObject() { return lora; }, configurable: true, enumerable: false});
freeze(ownProperty(globalThis, 'LoRaObject').get);

['ts013', 'chirpstack-v3', 'ttn-v2', 'milesight'].forEach(function (name) {
  var plainly = adapters[name];
  adapters[name] = function (fn, normalize, decode) {
    var run = plainly(fn, normalize, decode);
    return function (payload, metadata, received) {
      lora = loraOf(metadata, received);
      return run(payload, metadata, received);
    };
  };
});
