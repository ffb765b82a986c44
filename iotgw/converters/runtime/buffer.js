// Node's Buffer, loaded for scripts that name it.

// As far as decoders that were written for Node or ChirpStack use it: bytes with Node's names.
function fromText(string, encoding) {
  switch (('' + (encoding || 'utf8')).toLowerCase()) {
    case 'hex':
      return (('' + string).match(/[0-9a-f]{2}/gi) || []).map(function (pair) { return parseInt(pair, 16); });
    case 'base64': case 'base64url': return decodeBase64(string);
    case 'latin1': case 'binary': case 'ascii': return latin1Bytes(string);
    default: return utf8Encode(string);
  }
}
function bufferOf(bytes) {
  var buffer = new OwnBytes(bytes);
  var at = new DataView(buffer.buffer);
  function own(name, value) { defineProperty(buffer, name, {value: value, writable: true, configurable: true}); }
  own('toString', function (encoding, from, to) {
    var part = listSlice(buffer, from || 0, to === undefined ? buffer.length : to);
    switch (('' + (encoding || 'utf8')).toLowerCase()) {
      case 'hex': return hexOf(part);
      case 'base64': return encodeBase64(part);
      case 'latin1': case 'binary': case 'ascii': return latin1(part);
      default: return utf8Decode(part);
    }
  });
  own('slice', function (from, to) { return bufferOf(listSlice(buffer, from, to === undefined ? buffer.length : to)); });
  own('toJSON', function () { return {type: 'Buffer', data: listSlice(buffer)}; });
  own('equals', function (other) { return joined(listSlice(buffer), ',') === joined(listSlice(other), ','); });
  [['UInt16', 'Uint16'], ['Int16', 'Int16'], ['UInt32', 'Uint32'], ['Int32', 'Int32'], ['Float', 'Float32'],
   ['Double', 'Float64']].forEach(function (kind) {
    [['LE', true], ['BE', false]].forEach(function (order) {
      own('read' + kind[0] + order[0], function (offset) { return at['get' + kind[1]](offset || 0, order[1]); });
      own('write' + kind[0] + order[0], function (value, offset) {
        at['set' + kind[1]](offset || 0, value, order[1]);
        return (offset || 0) + parseInt(kind[1].slice(-2), 10) / 8;
      });
    });
  });
  own('readUInt8', function (offset) { return at.getUint8(offset || 0); });
  own('readInt8', function (offset) { return at.getInt8(offset || 0); });
  own('writeUInt8', function (value, offset) { at.setUint8(offset || 0, value); return (offset || 0) + 1; });
  own('writeInt8', function (value, offset) { at.setInt8(offset || 0, value); return (offset || 0) + 1; });
  return buffer;
}
give('Buffer', {
  from: function (source, encoding) { return bufferOf(typeof source === 'string' ? fromText(source, encoding) : source); },
  alloc: function (size, value) {
    var bytes = [];
    for (var i = 0; i < size; i++) bytes.push((value || 0) & 255);
    return bufferOf(bytes);
  },
  concat: function (buffers) {
    var all = [];
    for (var i = 0; i < buffers.length; i++) all = all.concat(listSlice(buffers[i]));
    return bufferOf(all);
  },
  isBuffer: function (value) { return value instanceof OwnBytes && typeof value.readUInt8 === 'function'; },
  byteLength: function (source, encoding) { return typeof source === 'string' ? fromText(source, encoding).length : source.length; }
});
