/**
 * The first call of a small handler that speaks HTTP: `node work.cjs` is the whole way of a process of its own, with
 * an argument it prints its private memory (kB). A zygote has done the loading.
 */
const fs = require('node:fs');

const load = () => ['http', 'https', 'crypto', 'zlib', 'url', 'stream/promises'].map((name) => require(`node:${name}`));

function call([http, , crypto, zlib]) {
  const agent = new http.Agent({ keepAlive: true });
  const body = JSON.stringify({
    at: new URL('/a?b=c', 'http://localhost').pathname,
    free: Object.keys(agent.freeSockets),
  });
  return crypto.createHash('sha256').update(zlib.gzipSync(body)).digest('hex').length;
}

/** Memory that this process has written: what is a file's, others may have mapped, too. */
const privateKb = () => Number(/^Private_Dirty:\s+(\d+)/m.exec(fs.readFileSync('/proc/self/smaps_rollup', 'utf8'))[1]);

module.exports = { load, call, privateKb };

if (require.main === module) {
  call(load());
  if (process.argv.length > 2) console.log(privateKb());
}
