/** The conformance suite on plain processes: system node and python, and the built http adapter. */
import { execFileSync } from 'node:child_process';
import { beforeAll, describe } from 'vitest';
import { conformanceTests } from './conformance.ts';
import { LANGUAGES_DIR, launchProcess } from './harness.ts';

beforeAll(() => {
  execFileSync('make', ['-s', '-C', `${LANGUAGES_DIR}/http`]);
});

describe('conformance on plain processes', () => conformanceTests(launchProcess));
