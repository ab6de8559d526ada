/** What a probe finds. `fail` of a must-have means: Wafer can not run here. */
export interface ProbeResult {
  id: string;
  title: string;
  status: 'ok' | 'warn' | 'fail';
  /** What was found, in a few words. */
  found: string;
  /** What it is for. */
  meaning: string;
  /** What is lost while it is off; only when it is. */
  cost?: string;
  /** The exact command, only when there is something to fix. */
  fix?: string;
}

type About = Pick<ProbeResult, 'id' | 'title' | 'meaning'>;

/** The three ways a probe ends. `cost` and `fix` belong to what is off. */
export function verdicts(about: About) {
  return {
    ok: (found: string): ProbeResult => ({ ...about, status: 'ok', found }),
    warn: (found: string, cost: string, fix: string): ProbeResult => ({ ...about, status: 'warn', found, cost, fix }),
    fail: (found: string, cost: string, fix: string): ProbeResult => ({ ...about, status: 'fail', found, cost, fix }),
  };
}

/** The user that the platform runs as, which is who the probes are about. */
export interface Subject {
  name: string;
  uid: number;
  home: string;
  /** Put before a command to run it as this user; empty when we are that user. */
  prefix: readonly string[];
}

export interface ProbeContext {
  subject: Subject;
  dataDir: string;
  env: Record<string, string | undefined>;
  /** Root of the installed package or the clone. */
  root: string;
}
