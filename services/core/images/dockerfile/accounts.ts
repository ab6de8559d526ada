/** `USER` and `--chown`: names of an image's own passwd and group files -> numbers. */

export interface UserIds {
  uid: number;
  gid: number;
  /** Supplementary. */
  groups: number[];
}

export interface AccountFiles {
  passwd: string;
  group: string;
}

/** What is wrong with a user that was named. The caller knows where. */
export class AccountError extends Error {
  override readonly name = 'AccountError';
}

const MAX_ID = 2 ** 32 - 2;
const rows = (text: string) => text.split('\n').map((line) => line.split(':'));

function number(text: string | undefined): number | null {
  if (text === undefined || !/^\d{1,10}$/.test(text) || Number(text) > MAX_ID) return null;
  return Number(text);
}

function findGroup(name: string, { group }: AccountFiles): number {
  const own = number(name);
  if (own !== null) return own;
  const found = number(rows(group).find((row) => row[0] === name)?.[2]);
  if (found === null) throw new AccountError(`the image has no group ${JSON.stringify(name.slice(0, 64))}`);
  return found;
}

function findUser(name: string, { passwd }: AccountFiles): { name: string | null; uid: number; gid: number | null } {
  const table = rows(passwd);
  const row = table.find((one) => one[0] === name) ?? table.find((one) => number(name) !== null && one[2] === name);
  const uid = number(row?.[2]) ?? number(name);
  if (uid === null) throw new AccountError(`the image has no user ${JSON.stringify(name.slice(0, 64))}`);
  return { name: row?.[0] ?? null, uid, gid: number(row?.[3]) };
}

/** Of a process: without a group it has all groups of the user; a number that nobody has goes with group 0. */
export function processIds(spec: string, files: AccountFiles): UserIds {
  const [user = '', group] = spec.split(':', 2);
  const { name, uid, gid } = findUser(user === '' ? '0' : user, files);
  if (group !== undefined && group !== '') return { uid, gid: findGroup(group, files), groups: [] };
  const groups = rows(files.group)
    .filter((row) => name !== null && (row[3] ?? '').split(',').includes(name))
    .flatMap((row) => number(row[2]) ?? []);
  return { uid, gid: gid ?? 0, groups: groups.slice(0, 32) };
}

/** Of files: a number without a group is user and group, as `--chown` is documented. */
export function ownerIds(spec: string, files: AccountFiles): { uid: number; gid: number } {
  const [user = '', group] = spec.split(':', 2);
  const isNumber = number(user) !== null;
  const { uid, gid } = user === '' ? { uid: 0, gid: 0 } : findUser(user, files);
  if (group !== undefined && group !== '') return { uid, gid: findGroup(group, files) };
  return { uid, gid: isNumber ? uid : (gid ?? 0) };
}

/** Home directory of the user, for RUN. */
export function homeOf(uid: number, { passwd }: AccountFiles): string {
  const home = rows(passwd).find((row) => number(row[2]) === uid)?.[5];
  return home === undefined || home === '' ? (uid === 0 ? '/root' : '/') : home;
}
