/** COPY and ADD: selected files placed over the stage's file system, as one layer. */
import type { Spool } from '../../functions/source/spool.ts';
import type { Selected } from './copy-select.ts';
import type { CopySource } from './copy-source.ts';
import { type FileEntry, joined, nameOf, parentOf, partsOf, walkTree } from './file-tree.ts';
import { DraftError, type LayerDraft, type NewEntry } from './layer-draft.ts';
import type { FetchedFile } from './remotes.ts';
import { archiveKind, type Member, readArchive } from './unpack-archive.ts';

export interface CopyPlan {
  source: CopySource;
  selected: readonly Selected[];
  /** Heredocs: files that the Dockerfile itself brings. */
  inline: readonly { name: string; content: string }[];
  /** What ADD fetched. */
  fetched: readonly FetchedFile[];
  /** Absolute; a `/` at the end means a folder. */
  destination: string;
  isFolder: boolean;
  owner: { uid: number; gid: number } | null;
  chmod: number | null;
  /** ADD: archives are unpacked, their bytes lie here. */
  unpackInto: Spool | null;
  /** No file is newer, in seconds. */
  latest: number;
}

/** @throws DraftError */
export async function placeCopies(draft: LayerDraft, plan: CopyPlan): Promise<void> {
  const { selected, inline, fetched, destination } = plan;
  const target = draft.resolve(partsOf(destination).join('/'));
  const isFolder = plan.isFolder || draft.get(target)?.kind === 'dir' || target === '';
  if (selected.length + inline.length + fetched.length > 1 && !isFolder)
    throw new DraftError(
      `there is more than one source, so the destination ${JSON.stringify(destination)} must end with "/"`,
    );
  for (const one of selected) {
    if (one.entry.kind === 'dir') placeFolder(draft, plan, one, target);
    else await placeOne(draft, plan, one, target, isFolder);
  }
  for (const file of fetched) placeFetched(draft, plan, file, target, isFolder);
  for (const { name, content } of inline) {
    const bytes = Buffer.from(content);
    const attributes = { mode: plan.chmod ?? 0o644, size: bytes.length, mtime: plan.latest };
    const entry: NewEntry = {
      kind: 'file',
      ...owned(plan, { uid: 0, gid: 0 }),
      ...attributes,
      open: () => once(bytes),
    };
    put(draft, isFolder ? joined(target, name) : target, entry);
  }
}

/** Root's, and nobody else's to read: what comes from elsewhere is not meant for all. A server's time counts when it is older. */
function placeFetched(draft: LayerDraft, plan: CopyPlan, file: FetchedFile, target: string, isFolder: boolean): void {
  if (isFolder && file.name === '')
    throw new DraftError('the URL has no file name, so the destination must be one that does not end with "/"');
  put(draft, isFolder ? joined(target, file.name) : target, {
    kind: 'file',
    mode: plan.chmod ?? 0o600,
    ...owned(plan, { uid: 0, gid: 0 }),
    size: file.size,
    mtime: Math.min(plan.latest, file.lastModified ?? plan.latest),
    open: file.open,
  });
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  if (bytes.length > 0) yield bytes;
}

/** Makes the folders above, and goes through a link that stands for one of them. */
function put(draft: LayerDraft, path: string, entry: NewEntry): void {
  const parent = draft.resolve(parentOf(path));
  draft.folder(parent);
  draft.put(joined(parent, nameOf(path)), entry);
}

const owned = ({ owner }: CopyPlan, { uid, gid }: { uid: number; gid: number }) => owner ?? { uid, gid };

function copied(plan: CopyPlan, entry: FileEntry): NewEntry {
  const { kind, mode, size, mtime, target, pax, origin } = entry;
  return {
    kind,
    mode: kind === 'symlink' ? 0o777 : (plan.chmod ?? mode),
    ...owned(plan, entry),
    size,
    mtime: Math.min(plan.latest, mtime),
    ...(target === undefined ? {} : { target }),
    ...(pax === undefined ? {} : { pax }),
    ...(kind === 'file' ? { open: () => plan.source.open(entry), identity: `${origin.layer} ${origin.path}` } : {}),
  };
}

/** What is in the folder, not the folder. */
function placeFolder(draft: LayerDraft, plan: CopyPlan, { path: from }: Selected, target: string): void {
  draft.folder(target);
  for (const { path, entry } of walkTree(plan.source.tree, from)) {
    if (path === from) continue;
    const to = joined(target, path.slice(from === '' ? 0 : from.length + 1));
    const real = entry.kind === 'dir' ? draft.resolve(to) : joined(draft.resolve(parentOf(to)), nameOf(to));
    put(draft, real, copied(plan, entry));
  }
}

async function placeOne(
  draft: LayerDraft,
  plan: CopyPlan,
  one: Selected,
  target: string,
  isFolder: boolean,
): Promise<void> {
  const open = () => plan.source.open(one.entry);
  const kind = plan.unpackInto === null || one.entry.kind !== 'file' ? null : await archiveKind(open);
  if (kind === null || plan.unpackInto === null) {
    put(draft, isFolder ? joined(target, one.name) : target, copied(plan, one.entry));
    return;
  }
  draft.folder(target);
  const members = new Map<string, NewEntry>();
  for await (const member of readArchive(open, kind, plan.unpackInto, plan.latest)) {
    placeMember(draft, plan, target, member, members);
  }
}

function placeMember(
  draft: LayerDraft,
  plan: CopyPlan,
  target: string,
  member: Member,
  members: Map<string, NewEntry>,
): void {
  const linked = member.link === undefined ? undefined : members.get(member.link);
  if (member.link !== undefined && linked === undefined)
    throw new DraftError(`its hard link ${JSON.stringify(member.path.slice(0, 100))} leads to nothing before it`);
  const entry: NewEntry = linked ?? {
    ...member.entry,
    ...owned(plan, member.entry),
    ...(plan.chmod === null || member.entry.kind === 'symlink' ? {} : { mode: plan.chmod }),
    ...(member.entry.kind === 'file' ? { identity: `${target}/${member.path}` } : {}),
  };
  members.set(member.path, entry);
  put(draft, joined(target, member.path), entry);
}
