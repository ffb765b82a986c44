// Arithmetic as the interpreter does it (its MathProcessor): by the classes of both sides, some of which are known beforehand.
var MAX_INT = 2147483647, MIN_INT = -2147483648, MAX_LONG = 9223372036854775807n, MIN_LONG = -9223372036854775808n;

function toInt(d) { return d !== d ? 0 : d >= MAX_INT ? MAX_INT : d <= MIN_INT ? MIN_INT : Math.trunc(d); }   // Double.intValue
function toLong(d) { return d !== d ? 0n : d >= 9223372036854775807 ? MAX_LONG : d <= -9223372036854775808 ? MIN_LONG : BigInt(Math.trunc(d)); }
function intOrLong(d) { return d > MAX_INT || d < MIN_INT ? long(BigInt(d)) : d; }
function ofCode(d, code) {
  switch (code) {
    case INT: case PRIMITIVE_INT: return toInt(d);
    case LONG: return toLong(d);
    case FLOAT: return float(d);
    case DOUBLE: case STRING: return new TDouble(d);
    case SHORT: return new TShort(toInt(d) << 16 >> 16);
    case BYTE: return byte(toInt(d));
  }
  throw fail('RuntimeException', 'no arithmetic with this kind of value');
}
function isNumberText(s) { return /^-?\d+(?:\.\d*)?$/.test(s); }
function isNumber(v) { return typeof v === 'string' ? isNumberText(v) : v instanceof TChar ? isNumberText(v.v) : codeOf(v) >= BYTE; }
function parseDoubleJava(s) {
  var clean = s.trim();
  if (!/^[+-]?(?:NaN|Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[dDfF]?)$/.test(clean)) throw fail('NumberFormatException', 'For input string: "' + s + '"');
  return Number(clean.replace(/[dDfF]$/, '').replace(/^\+/, ''));
}
// A number as a double, whatever its class
function toDouble(v) {
  switch (typeof v) {
    case 'number': return v;
    case 'bigint': return Number(v);
    case 'string': return parseDoubleJava(v);
    case 'boolean': return v ? 1 : 0;
  }
  if (v === null) return 0;
  if (v instanceof TChar) return parseDoubleJava(v.v);
  if (codeOf(v) >= BYTE) return v.v;
  throw fail('ClassCastException', 'expected a number, got ' + classOf(v));
}
var PRIMITIVE_INT = 101;        // Java's int, where the translation knows that a value is one
function isInteger(code) { return code === INT || code === LONG || code === BYTE || code === PRIMITIVE_INT; }

var OPERATIONS = {
  add: function (a, b) { return a + b; }, sub: function (a, b) { return a - b; }, mul: function (a, b) { return a * b; },
  div: function (a, b) { return a / b; }, mod: function (a, b) { return a % b; }, pow: function (a, b) { return Math.pow(a, b); }
};
var COMPARISONS = {
  lt: function (a, b) { return a < b; }, gt: function (a, b) { return a > b; }, le: function (a, b) { return a <= b; },
  ge: function (a, b) { return a >= b; }, eq: function (a, b) { return a === b; }, ne: function (a, b) { return a !== b; }
};
var BITS = {
  and: function (a, b) { return a & b; }, or: function (a, b) { return a | b; }, xor: function (a, b) { return a ^ b; }
};

// a op b, where `codeA` and `codeB` are the classes that are known, or 0
function operate(op, codeA, a, codeB, b) {
  if (codeA === 0) codeA = codeOf(a);
  if (codeB === 0) codeB = codeOf(b);
  var isComparison = op in COMPARISONS, isArithmetic = op in OPERATIONS, isEquality = op === 'eq' || op === 'ne';
  if (!isComparison && !isArithmetic && isInteger(codeA) && isInteger(codeB)) return bits(op, a, b);
  if ((codeA > 49 || isEquality) && codeA === codeB) return alike(op, codeA, a, b);
  if (op === 'add' && (codeA === CHAR || codeB === CHAR)) return text(a) + text(b);
  if (b !== null) {
    var isNumeric = codeA >= BYTE && codeB >= BYTE ||
      op !== 'add' && (codeA >= BYTE || codeB >= BYTE || !isComparison || isEquality) && isNumber(a) && isNumber(b);
    if (isNumeric) {
      var x = toDouble(a), y = toDouble(b);
      if (isComparison) return COMPARISONS[op](x, y);
      if (isArithmetic) return ofCode(OPERATIONS[op](x, y), Math.max(codeA, codeB));
      return null;
    }
  }
  if (op !== 'add' && (codeA === BOOLEAN || codeB === BOOLEAN) && codeA !== codeB) return other(op, codeA, toBoolean(a), toBoolean(b));
  if (codeA === STRING && codeB === CHAR || codeA === CHAR && codeB === STRING) return other(op, STRING, text(a), text(b));
  return other(op, codeA, a, b);
}

function alike(op, code, a, b) {
  if (code === PRIMITIVE_INT) code = INT;
  if (a === null || b === null) {
    if (op === 'eq' || op === 'ne') return (a === b) === (op === 'eq');
    if (op in COMPARISONS) return false;
    throw fail('NullPointerException', 'a variable that has held numbers is null here');
  }
  switch (code) {
    case COLLECTION:
      if (op === 'add') return new TList(elements(a).concat(elements(b)));
      if (op === 'eq' || op === 'ne') return equals(a, b) === (op === 'eq');
      throw fail('UnsupportedOperationException', 'illegal operation on lists');
    case INT: case BYTE: case SHORT: {
      if (code === INT && (typeof a !== 'number' || typeof b !== 'number')) { a = toInt(toDouble(a)); b = toInt(toDouble(b)); }
      var x = code === INT ? a : a.v === undefined ? toInt(toDouble(a)) : a.v, y = code === INT ? b : b.v === undefined ? toInt(toDouble(b)) : b.v;
      if (op in COMPARISONS) return COMPARISONS[op](x, y);
      switch (op) {
        case 'add': case 'sub': return intOrLong(OPERATIONS[op](x, y));
        case 'mul': return Math.abs(x * y) > MAX_INT ? long(BigInt(x) * BigInt(y)) : x * y + 0;
        case 'div': return new TDouble(x / y);
        case 'mod': if (y === 0) throw fail('ArithmeticException', '/ by zero'); return x % y + 0;
        case 'pow': { var power = Math.pow(x, y); return power > MAX_INT ? new TDouble(power) : toInt(power); }
      }
      break;
    }
    case LONG: {
      var m = toBig(a), n = toBig(b);
      if (op in COMPARISONS) return COMPARISONS[op](m, n);
      switch (op) {
        case 'add': return long(m + n);
        case 'sub': return long(m - n);
        case 'mul': return long(m * n);
        case 'div': return new TDouble(Number(m) / Number(n));
        case 'mod': if (n === 0n) throw fail('ArithmeticException', '/ by zero'); return m % n;
        case 'pow': { var raised = Math.pow(Number(m), Number(n)); return raised > 9223372036854775807 ? new TDouble(raised) : toLong(raised); }
      }
      break;
    }
    case DOUBLE: case FLOAT: {
      var p = toDouble(a), q = toDouble(b);
      if (op in COMPARISONS) return COMPARISONS[op](p, q);
      if (op in OPERATIONS) return code === DOUBLE || op === 'div' ? new TDouble(OPERATIONS[op](p, q)) : float(OPERATIONS[op](p, q));
      throw fail('RuntimeException', 'bitwise operation on a non-fixed-point number');
    }
    default:
      if (op === 'eq' || op === 'ne') return equals(a, b) === (op === 'eq');
      if (op === 'add') return text(a) + text(b);
      if (op in COMPARISONS && code === CHAR) return COMPARISONS[op](compareTexts(a.v, b.v), 0);
      return null;
  }
  throw mismatch(op, a, b);
}
function toBig(v) { return typeof v === 'bigint' ? v : typeof v === 'number' ? BigInt(v) : toLong(toDouble(v)); }

function bits(op, a, b) {
  var isLong = typeof a === 'bigint', x = isLong ? a : a.v === undefined ? a : a.v, y = typeof b === 'bigint' ? b : b.v === undefined ? b : b.v;
  if (op in BITS) {
    if (!isLong && typeof y !== 'bigint') return BITS[op](x, y);
    return long(BITS[op](BigInt(x), BigInt(y)));
  }
  var count = Number(BigInt.asUintN(6, BigInt(y)));
  if (!isLong) return op === 'shl' ? x << count : op === 'shr' ? x >> count : x >>> count | 0;
  if (op === 'shl') return long(x << BigInt(count));
  return op === 'shr' ? x >> BigInt(count) : long(BigInt.asUintN(64, x) >> BigInt(count));
}

function other(op, code, a, b) {
  switch (op) {
    case 'add':
      if (code === COLLECTION && a !== null) return new TList(elements(a).concat([b]));
      return joinedText(text(a), text(b));
    case 'eq': return equals(a, b);
    case 'ne': return !equals(a, b);
    case 'sub': case 'mul': case 'div': case 'mod': return null;
    case 'lt': case 'gt': case 'le': case 'ge': return order(op, a, b);
  }
  throw mismatch(op, a, b);
}
var MAX_TEXT = 4194304;
function joinedText(a, b) {
  if (a.length + b.length > MAX_TEXT) throw fail('ScriptMemoryOverflowException', 'a text has more than ' + MAX_TEXT + ' characters');
  return a + b;
}
function order(op, a, b) {
  if (a === null || b === null) return false;
  if (typeof a === 'string' && typeof b === 'string') return COMPARISONS[op](compareTexts(a, b), 0);
  if (a instanceof TDate && b instanceof TDate) return COMPARISONS[op](a.ms, b.ms);
  if (typeof a === 'boolean' && typeof b === 'boolean') return COMPARISONS[op](Number(a), Number(b));
  if (codeOf(a) === 0 || codeOf(a) === COLLECTION) return false;
  throw fail('RuntimeException', 'uncomparable values <<' + text(a) + '>> and <<' + text(b) + '>>');
}
var SIGNS = {add: '+', sub: '-', mul: '*', div: '/', mod: '%', pow: '**', and: '&', or: '|', xor: '^', shl: '<<', shr: '>>', ushr: '>>>'};
function mismatch(op, a, b) {
  return fail('RuntimeException', 'no ' + SIGNS[op] + ' of ' + classOf(a) + ' and ' + classOf(b) + ': ' + text(a) + ' ' + SIGNS[op] + ' ' + text(b));
}

function operation(op, fast) {
  return function (a, b) {
    if (typeof a === 'number' && typeof b === 'number') return fast(a, b);
    return operate(op, 0, a, 0, b);
  };
}
var operators = {
  add: operation('add', function (a, b) { return intOrLong(a + b); }),
  sub: operation('sub', function (a, b) { return intOrLong(a - b); }),
  mul: operation('mul', function (a, b) { return Math.abs(a * b) > MAX_INT ? alike('mul', INT, a, b) : a * b + 0; }),
  div: operation('div', function (a, b) { return new TDouble(a / b); }),
  and: operation('and', function (a, b) { return a & b; }),
  or: operation('or', function (a, b) { return a | b; }),
  xor: operation('xor', function (a, b) { return a ^ b; }),
  shl: operation('shl', function (a, b) { return a << b; }),
  shr: operation('shr', function (a, b) { return a >> b; }),
  ushr: operation('ushr', function (a, b) { return a >>> b | 0; }),
  mod: function (a, b) { return operate('mod', 0, a, 0, b); },
  pow: function (a, b) { return operate('pow', 0, a, 0, b); },
  typed: operate,
  // both are known to be whole numbers: Java's division
  idiv: function (a, b) {
    if (typeof a !== 'number' || typeof b !== 'number') return operate('div', 0, a, 0, b);
    if (b === 0) throw fail('ArithmeticException', '/ by zero');
    return toInt(a / b) + 0;
  },
  neg: function (v) {
    if (typeof v === 'number') return v === MIN_INT ? v : -v + 0;
    if (typeof v === 'bigint') return long(-v);
    if (v instanceof TDouble) return new TDouble(-v.v);
    if (v instanceof TFloat) return new TFloat(-v.v);
    if (v instanceof TByte || v instanceof TShort) return -v.v + 0;
    throw fail('CompileException', "illegal use of '-': cannot be applied to: " + classOf(v));
  },
  inv: function (v) {
    if (typeof v === 'number') return ~v;
    if (typeof v === 'bigint') return ~v;
    if (v instanceof TByte || v instanceof TShort) return ~v.v;
    throw fail('CompileException', 'was expecting type: Integer; but found type: ' + classOf(v));
  }
};
['lt', 'gt', 'le', 'ge'].forEach(function (op) { operators[op] = operation(op, COMPARISONS[op]); });
operators.eq = function (a, b) { return a === EMPTY || b === EMPTY ? isEmptyOf(a, b) : a === b && typeof a === typeof b && a === a ? true : operate('eq', 0, a, 0, b); };
operators.ne = function (a, b) { return !operators.eq(a, b); };

// `empty`: equal to null, blank texts, 0, false and collections that hold nothing
var EMPTY = new TClass('empty', {});
function isEmptyOf(a, b) {
  var v = a === EMPTY ? b : a;
  if (v === null || v === EMPTY) return true;
  if (v instanceof TMap || v instanceof TSet) return v.m.size === 0;
  if (v instanceof TList || v instanceof TArray) return v.a.length === 0;
  return typeof v === 'boolean' ? !v : text(v).trim() === '' || text(v) === '0';
}

function toBoolean(v) {         // a conversion to Boolean
  if (typeof v === 'boolean' || v === null) return v;
  if (typeof v === 'string') return v.toLowerCase() === 'true' || v === '1' || v.toLowerCase() === 'yes' || v.toLowerCase() === 'on';
  return codeOf(v) >= BYTE && codeOf(v) !== CHAR ? toDouble(v) !== 0 : false;
}
function bool(v) {              // what a condition has to be
  if (typeof v === 'boolean') return v;
  throw v === null ? fail('NullPointerException', 'expected true or false, got null')
                   : fail('ClassCastException', 'expected true or false, got ' + text(v) + ' (' + classOf(v) + ')');
}
