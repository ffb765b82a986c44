// Of node's `crypto` what public decoders need: AES, by createCipheriv and createDecipheriv, in the modes ecb, cbc, ctr and ccm
// (FIPS 197, NIST SP 800-38A and 38C). A cipher is made of closures: nothing of it is shared between messages.
(function () {
  var HostBuffer = globalThis.Buffer, aesBox = [], aesInverse = [];

  function doubled(byte) { return byte << 1 ^ (byte & 128 ? 0x11b : 0); }
  function turned(byte, by) { return (byte << by | byte >> 8 - by) & 255; }
  (function () {
    var power = 1, inverse = 1;
    do {  // 3 makes every byte but 0, and its inverse goes the other way
      power = (power ^ doubled(power)) & 255;
      inverse = (inverse ^ inverse << 1) & 255;
      inverse = (inverse ^ inverse << 2) & 255;
      inverse = (inverse ^ inverse << 4) & 255;
      if (inverse & 128) inverse ^= 9;
      aesBox[power] = inverse ^ turned(inverse, 1) ^ turned(inverse, 2) ^ turned(inverse, 3) ^ turned(inverse, 4) ^ 0x63;
    } while (power !== 1);
    aesBox[0] = 0x63;
    for (var i = 0; i < 256; i++) aesInverse[aesBox[i]] = i;
  })();

  function aesKeys(key) {
    var words = key.length / 4, made = listSlice(key), count = 16 * (words + 7);
    for (var round = 1, at = key.length; at < count; at += 4) {
      var last = listSlice(made, at - 4, at);
      if (at % key.length === 0) {
        last = [aesBox[last[1]] ^ round, aesBox[last[2]], aesBox[last[3]], aesBox[last[0]]];
        round = doubled(round) & 255;
      } else if (words > 6 && at % key.length === 16) last = last.map(function (byte) { return aesBox[byte]; });
      for (var i = 0; i < 4; i++) push(made, made[at - key.length + i] ^ last[i]);
    }
    return made;
  }
  function aesAdd(state, roundKeys, round) {
    for (var i = 0; i < 16; i++) state[i] ^= roundKeys[16 * round + i];
  }
  // Each byte by a table, and each row turned by its number: forwards, or backwards.
  function aesSubstituted(state, box, step) {
    for (var made = [], i = 0; i < 16; i++) made[i] = box[state[(i + 4 * step * (i % 4) + 64) % 16]];
    return made;
  }
  function aesMixed(state) {
    for (var column = 0; column < 16; column += 4) {
      var was = listSlice(state, column, column + 4), all = was[0] ^ was[1] ^ was[2] ^ was[3];
      for (var i = 0; i < 4; i++) state[column + i] = (was[i] ^ all ^ doubled(was[i] ^ was[(i + 1) % 4])) & 255;
    }
  }
  function aesEncrypted(block, roundKeys) {
    var state = listSlice(block), rounds = roundKeys.length / 16 - 1;
    aesAdd(state, roundKeys, 0);
    for (var round = 1; round <= rounds; round++) {
      state = aesSubstituted(state, aesBox, 1);
      if (round < rounds) aesMixed(state);
      aesAdd(state, roundKeys, round);
    }
    return state;
  }
  function aesDecrypted(block, roundKeys) {
    var state = listSlice(block), rounds = roundKeys.length / 16 - 1;
    aesAdd(state, roundKeys, rounds);
    for (var round = rounds - 1; round >= 0; round--) {
      state = aesSubstituted(state, aesInverse, -1);
      aesAdd(state, roundKeys, round);
      if (round) for (var times = 0; times < 3; times++) aesMixed(state);  // four times is none
    }
    return state;
  }
  function xored(a, b) { return a.map(function (byte, i) { return byte ^ b[i]; }); }
  function zeros(count) { for (var made = []; made.length < count;) push(made, 0); return made; }
  function padded(bytes) { return bytes.concat(zeros((16 - bytes.length % 16) % 16)); }
  function bigEndian(number, size) {
    for (var made = []; made.length < size; number = Math.floor(number / 256)) made.unshift(number % 256);
    return made;
  }
  function cipherBytes(value, encoding) {
    if (value === null || value === undefined) return [];
    return listSlice(listOf(typeof value === 'string' ? HostBuffer.from(value, encoding || 'utf8') : HostBuffer.from(value)));
  }
  function cipherOutput(bytes, encoding) {
    var made = HostBuffer.from(bytes);
    return encoding && encoding !== 'buffer' ? made.toString(encoding) : made;
  }

  // How a mode goes on from block to block: `step(block)` gives what comes out.
  var CHAINS = {
    ecb: function (one) { return one; },
    cbc: function (one, iv, isBack) {
      var before = iv;
      return function (block) {
        var made = isBack ? xored(one(block), before) : one(xored(block, before));
        before = isBack ? block : made;
        return made;
      };
    }
  };
  function blockCipher(one, mode, iv, isBack) {
    var step = CHAINS[mode](one, iv, isBack), rest = [], isPadded = true;
    function through(kept) {
      for (var made = [], at = 0; rest.length - at >= 16 + kept; at += 16) made = made.concat(step(listSlice(rest, at, at + 16)));
      rest = listSlice(rest, at);
      return made;
    }
    return {
      pads: function (wanted) { isPadded = wanted; },
      update: function (bytes) { rest = rest.concat(bytes); return through(isBack && isPadded ? 1 : 0); },
      end: function () {
        if (isPadded && !isBack) {
          for (var count = 16 - rest.length, i = 0; i < count; i++) push(rest, count);
          return through(0);
        }
        if (rest.length !== (isPadded ? 16 : 0)) throw new Error('wrong final block length');
        if (!isPadded) return [];
        var made = through(0), length = made[15];
        var isGood = length > 0 && length < 17 && listSlice(made, 16 - length).every(function (byte) { return byte === length; });
        if (!isGood) throw new Error('bad decrypt');
        return listSlice(made, 0, 16 - length);
      }
    };
  }
  function counterCipher(one, counter) {
    var block = [];
    counter = listSlice(counter);
    return {
      update: function (bytes) {
        return bytes.map(function (byte) {
          if (!block.length) {
            block = one(counter);
            for (var i = 15; i >= 0 && (counter[i] = counter[i] + 1 & 255) === 0;) i--;
          }
          return byte ^ block.shift();
        });
      },
      end: function () { return []; }
    };
  }
  function ccmCipher(one, nonce, size, isBack) {
    var more = [], tag = null, lengthSize = 15 - nonce.length;
    function tagOf(text) {
      var first = [(more.length ? 64 : 0) + 4 * (size - 2) + lengthSize - 1].concat(nonce, bigEndian(text.length, lengthSize));
      var sizes = more.length < 0xff00 ? bigEndian(more.length, 2) : [255, 254].concat(bigEndian(more.length, 4));
      var all = first.concat(more.length ? padded(sizes.concat(more)) : [], padded(text)), mac = zeros(16);
      for (var at = 0; at < all.length; at += 16) mac = one(xored(mac, listSlice(all, at, at + 16)));
      return listSlice(xored(mac, one([lengthSize - 1].concat(nonce, zeros(lengthSize)))), 0, size);
    }
    return {
      adds: function (bytes) { more = bytes; },
      tag: function (given) { if (given) tag = given; return tag; },
      update: function (bytes) {
        var made = counterCipher(one, [lengthSize - 1].concat(nonce, bigEndian(1, lengthSize))).update(bytes);
        var own = tagOf(isBack ? made : bytes);
        if (isBack && '' + own !== '' + tag) throw new Error('Unsupported state or unable to authenticate data');
        tag = own;
        return made;
      },
      end: function () { return []; }
    };
  }

  function aesCipher(isBack) {
    return function (name, key, iv, options) {
      var asked = /^aes-?(128|192|256)(?:-(ecb|cbc|ctr|ccm))?$/i.exec(name), size = options && options.authTagLength;
      if (!asked) throw new Error("crypto: expected AES in the mode ecb, cbc, ctr or ccm (such as 'aes-128-cbc'), got " + stringify('' + name));
      var mode = (asked[2] || 'cbc').toLowerCase(), used;
      key = cipherBytes(key);
      iv = cipherBytes(iv);
      if (key.length !== asked[1] / 8) throw new RangeError('Invalid key length');
      if (mode === 'ccm' ? iv.length < 7 || iv.length > 13 : iv.length !== (mode === 'ecb' ? 0 : 16)) throw new TypeError('Invalid initialization vector');
      if (mode === 'ccm' && !(size >= 4 && size <= 16 && size % 2 === 0)) throw new TypeError('Invalid authentication tag length: ' + size);
      var keys_ = aesKeys(key);
      function one(block) { return aesEncrypted(block, keys_); }
      function back(block) { return aesDecrypted(block, keys_); }
      if (mode === 'ctr') used = counterCipher(one, iv);
      else if (mode === 'ccm') used = ccmCipher(one, iv, size, isBack);
      else used = blockCipher(isBack ? back : one, mode, iv, isBack);
      var cipher = {
        update: function (data, from, to) { return cipherOutput(used.update(cipherBytes(data, from)), to); },
        final: function (to) { return cipherOutput(used.end(), to); },
        setAutoPadding: function (wanted) { if (used.pads) used.pads(wanted === undefined || !!wanted); return cipher; }
      };
      if (mode === 'ccm') {
        cipher.setAAD = function (data) { used.adds(cipherBytes(data)); return cipher; };
        cipher.setAuthTag = function (given) { used.tag(cipherBytes(given)); return cipher; };
        cipher.getAuthTag = function () { return HostBuffer.from(used.tag()); };
      }
      return cipher;
    };
  }
  hostModules.crypto = {createCipheriv: aesCipher(false), createDecipheriv: aesCipher(true)};
  ['createHash', 'createHmac', 'createSign', 'createVerify', 'hkdfSync', 'pbkdf2Sync', 'randomBytes', 'randomUUID', 'scryptSync'].forEach(function (name) {
    hostModules.crypto[name] = function () {
      throw new Error('crypto.' + name + " isn't there: of node's crypto, converters find createCipheriv and createDecipheriv. Add a file that does it to the converter's files");
    };
  });
})();
