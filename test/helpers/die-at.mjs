/**
 * Preload for crash tests: this process kills itself with SIGKILL right before its Nth
 * change of the file system (WAFER_DIE_AT), or counts them and prints the number at the end.
 */
import fsp from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { fileURLToPath } from 'node:url';

const dieAt = Number(process.env.WAFER_DIE_AT ?? 0);
let changes = 0;

const counted = (call) =>
  function (...args) {
    changes += 1;
    if (changes === dieAt) process.kill(process.pid, 'SIGKILL');
    return call.apply(this, args);
  };

const handle = await fsp.open(fileURLToPath(import.meta.url));
const handleProto = Object.getPrototypeOf(handle);
await handle.close();
for (const name of ['writeFile', 'sync']) handleProto[name] = counted(handleProto[name]);
for (const name of ['open', 'rename', 'unlink', 'rm', 'mkdir', 'mkdtemp']) fsp[name] = counted(fsp[name]);
syncBuiltinESMExports();

process.on('exit', () => process.stdout.write(`changes=${changes}\n`));
