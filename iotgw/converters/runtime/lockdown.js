// What scripts must not find: ways to files, to the pipe, to other threads, or to wait without working.
var forbidden = ['Duktape', 'require', 'print', 'alert', 'Atomics', 'SharedArrayBuffer', 'CBOR', 'Buffer', 'queueMicrotask',
                 'WeakRef', 'FinalizationRegistry'];
for (var f = 0; f < forbidden.length; f++) delete globalThis[forbidden[f]];
