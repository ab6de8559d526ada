import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import type { Subject } from './probe.ts';

interface Account {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

function findAccount(name: string): Account | null {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [user = '', , uid, gid, , home = '/'] = line.split(':');
    if (user === name) return { name, uid: Number(uid), gid: Number(gid), home };
  }
  return null;
}

/**
 * The platform never runs as root. Called by root, the probes are about the system user `wafer`;
 * before set-up has made it, about `nobody`, who has no more rights than any user.
 */
export function chooseSubject(): Subject {
  const me = userInfo();
  if (me.uid !== 0) return { name: me.username, uid: me.uid, home: me.homedir, prefix: [] };
  const account = findAccount('wafer') ??
    findAccount('nobody') ?? { name: 'nobody', uid: 65_534, gid: 65_534, home: '/' };
  const { name, uid, gid, home } = account;
  return { name, uid, home, prefix: ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'] };
}
