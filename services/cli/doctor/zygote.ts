import { SETTINGS } from '../../core/config.ts';
import { type ProbeContext, type ProbeResult, verdicts } from './probe.ts';

/** Told where it is on only: there is nothing to miss where it is off. */
export async function probePythonZygote({ env }: ProbeContext): Promise<ProbeResult | null> {
  const name = 'WAFER_PYTHON_ZYGOTE';
  const { warn, fail } = verdicts({
    id: 'python-zygote',
    title: 'Python zygote',
    meaning: 'programs of Python are forks of one that has booted and imported: docs/zygotes.md',
  });
  try {
    if (SETTINGS.pythonZygote.read(env[name], env) === 'off') return null;
  } catch {
    return fail(`${name}=${env[name]} is neither on nor off`, '"wafer up" refuses to start', `unset ${name}`);
  }
  return warn(
    `${name}=on`,
    'functions of Python on one image share their memory layout and hash secret for up to an hour; 18 MB per image in use',
    `unset ${name}   (where people deploy who do not trust each other)`,
  );
}
