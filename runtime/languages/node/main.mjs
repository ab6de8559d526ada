/**
 * The first program of a node sandbox. An ES module, so that the module loader that a
 * handler needs is up before READY; the runtime itself is CommonJS, which loads in a
 * fraction of the time (no parse of a module graph, no asynchronous step per file).
 */
import { createRequire } from 'node:module';

createRequire(import.meta.url)('./runtime.cjs');
