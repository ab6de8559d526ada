import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');
/** The built one: `npm run build`. */
export const CLI = join(ROOT, 'dist/services/cli/main.js');
