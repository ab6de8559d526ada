'use strict';
/** JSON of a result; when it can not be, the path of the first value that stands in the way. */
const { WaferFailure } = require('./errors.cjs');

const MAX_DEPTH = 1000;

const refuse = (path, what) =>
  new WaferFailure('result_not_serialisable', `The result can not be sent as JSON: ${path} is ${what}.`);

function toJson(value, root) {
  if (value === undefined) return 'null';
  if (typeof value === 'function' || typeof value === 'symbol') throw refuse(root, `a ${typeof value}`);
  let json;
  let cause;
  try {
    json = JSON.stringify(value);
  } catch (error) {
    cause = error;
  }
  if (json !== undefined) return json;
  const found = findBad(value, root, new Set(), 0);
  if (found !== null) throw refuse(...found);
  const why = cause === undefined ? 'its toJSON() gave nothing' : String(cause?.message ?? cause);
  throw new WaferFailure('result_not_serialisable', `The result can not be sent as JSON: ${why}.`);
}

const step = (path, key) => {
  if (typeof key === 'number') return `${path}[${key}]`;
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
};

/** @returns [path, what] of the first bad value in JSON order, or null */
function findBad(value, path, above, depth) {
  if (typeof value === 'bigint') return [path, 'a BigInt'];
  if (typeof value !== 'object' || value === null) return null;
  if (above.has(value)) return [path, 'a reference to an object that contains it (a cycle)'];
  if (depth > MAX_DEPTH) return [path.slice(0, 200), `nested more than ${MAX_DEPTH} levels deep`];
  try {
    if (typeof value.toJSON === 'function') return findBad(value.toJSON(), path, new Set([...above, value]), depth + 1);
    above.add(value);
    const keys = Array.isArray(value) ? value.keys() : Object.keys(value);
    for (const key of keys) {
      const found = findBad(value[key], step(path, key), above, depth + 1);
      if (found !== null) return found;
    }
  } catch (error) {
    return [path, `not readable (${String(error?.message ?? error)})`];
  }
  above.delete(value);
  return null;
}

module.exports = { toJson };
