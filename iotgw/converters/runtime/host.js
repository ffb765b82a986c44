// What every script finds besides the language: text and base64, and console.
// A script's own function of the same name wins, because it shadows the global.
var BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
var SEXTETS = {};
for (var sextet = 0; sextet < 64; sextet++) SEXTETS[BASE64[sextet]] = sextet;
SEXTETS['-'] = 62;
SEXTETS['_'] = 63;

function encodeBase64(bytes) {
  var out = [];
  for (var i = 0; i < bytes.length; i += 3) {
    var rest = bytes.length - i, three = (bytes[i] & 255) << 16 | (rest > 1 ? (bytes[i + 1] & 255) << 8 : 0) | (rest > 2 ? bytes[i + 2] & 255 : 0);
    out[out.length] = BASE64[three >> 18] + BASE64[three >> 12 & 63] + (rest > 1 ? BASE64[three >> 6 & 63] : '=') + (rest > 2 ? BASE64[three & 63] : '=');
  }
  return joined(out, '');
}

function decodeBase64(encoded) {
  var clean = ('' + encoded).replace(/[\s=]+/g, ''), bytes = [], bits = 0, held = 0;
  if (clean.length % 4 === 1) throw new TypeError('not base64: a length of ' + clean.length);
  for (var i = 0; i < clean.length; i++) {
    var value = SEXTETS[clean[i]];
    if (value === undefined) throw new TypeError('not base64: ' + stringify(clean[i]) + ' at ' + i);
    held = (held << 6 | value) & 0xffffff;
    bits += 6;
    if (bits >= 8) { bits -= 8; bytes.push(held >> bits & 255); }
  }
  return bytes;
}

// Duktape hashes every string that it makes: text is put together from few long pieces.
var PIECE = 1024;
function latin1(bytes) {
  var pieces = [];
  for (var i = 0; i < bytes.length; i += PIECE) {
    var piece = listSlice(bytes, i, i + PIECE);
    for (var j = 0; j < piece.length; j++) piece[j] &= 255;
    pieces[pieces.length] = apply(fromCharCode, null, piece);
  }
  return pieces.length === 1 ? pieces[0] : joined(pieces, '');
}

function latin1Bytes(string) {
  var bytes = [], s = '' + string;
  for (var i = 0; i < s.length; i++) bytes.push(s.charCodeAt(i) & 255);
  return bytes;
}

// UTF-8 where the bytes are UTF-8; otherwise each byte is a character, as ThingsBoard's examples have it.
var OwnDecoder = typeof TextDecoder === 'undefined' ? null : TextDecoder, OwnBytes = Uint8Array;
var isHigh = uncurry(RegExp.prototype.test), HIGH = /[\x80-\xff]/;
function utf8Decode(bytes) {
  if (OwnDecoder) {
    try { return new OwnDecoder('utf-8', {fatal: true}).decode(new OwnBytes(bytes)); } catch (notUtf8) { return latin1(bytes); }
  }
  var out = latin1(bytes);
  if (!isHigh(HIGH, out)) return out;
  try { out = decodeURIComponent(escape(out)); } catch (notUtf8) { return out; }
  return charCodeAt(out, 0) === 0xfeff ? slice(out, 1) : out;  // a byte order mark, as TextDecoder has it
}

function utf8Encode(string) {
  return latin1Bytes(unescape(encodeURIComponent(string)));
}

function give(name, value) {
  defineProperty(globalThis, name, {value: value, writable: true, configurable: true, enumerable: false});
}

give('decodeToString', utf8Decode);
give('decodeToJson', function (bytes) { return parse(utf8Decode(bytes)); });
give('btoa', function (string) { return encodeBase64(latin1Bytes(string)); });
give('atob', function (string) { return latin1(decodeBase64(string)); });
give('parseBase64', decodeBase64);
give('bytes', function (value) { return typeof value === 'string' ? latin1Bytes(value) : [].slice.call(value); });
give('string', function (bytes) { return latin1(bytes); });

give('__iotgw_at', function (loop) { reached = loop; return true; });

// --- console ---

function log() {
  if (logs.length >= LOG_LINES) {
    if (!logsCut) { logsCut = true; push(logs, '… more lines were left out'); }
    return;
  }
  var said = '';
  for (var i = 0; i < arguments.length; i++) {
    var value = arguments[i], shown;
    if (typeof value === 'object' && value !== null && !(value instanceof Error)) {
      try { shown = stringify(value); } catch (circular) { shown = '' + value; }
    } else {
      shown = value;
    }
    said += (i ? ' ' : '') + text(shown, LOG_CHARS);
  }
  push(logs, text(said, LOG_CHARS));
}
give('console', {log: log, info: log, warn: log, error: log, debug: log, trace: log});

if (typeof TextDecoder === 'undefined') {
  give('TextDecoder', function () { this.encoding = 'utf-8'; });
  globalThis.TextDecoder.prototype.decode = function (bytes) { return utf8Decode(new Uint8Array(bytes.buffer || bytes)); };
  give('TextEncoder', function () { this.encoding = 'utf-8'; });
  globalThis.TextEncoder.prototype.encode = function (string) { return Uint8Array.from(utf8Encode(string)); };
}
