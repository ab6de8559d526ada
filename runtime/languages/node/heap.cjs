/**
 * V8 sizes its young generation by the machine's memory, of which a sandbox has a small part: a handler that makes
 * much garbage would meet the sandbox's limit before a collection. Where memory is small it keeps its first size.
 */
'use strict';

const SMALL_MB = 128;

/** After the code is loaded: with another flag V8 refuses what was compiled at build. */
function fitHeap({ memoryMb }) {
  if (memoryMb !== undefined && memoryMb < SMALL_MB)
    require('node:v8').setFlagsFromString('--semi-space-growth-factor=1');
}

module.exports = { fitHeap };
