/**
 * `.waferignore`: one pattern a line, as in `.gitignore`. `#` comments, `*` and `?`
 * within one name, `**` across folders, a leading or inner `/` anchors to the top,
 * a trailing `/` means folders only, `!` takes back an earlier match. What lies in an
 * ignored folder can not be taken back.
 */

export type IgnoreTest = (path: string, isDirectory: boolean) => boolean;

interface Rule {
  pattern: RegExp;
  directoriesOnly: boolean;
  negated: boolean;
}

const escapeRegExp = (text: string) => text.replace(/[.+^${}()|[\]\\*?]/g, '\\$&');

function segmentSource(segment: string): string {
  const parts = segment.replace(/\*+/g, '*').split(/([*?])/);
  return parts.map((part) => (part === '*' ? '[^/]*' : part === '?' ? '[^/]' : escapeRegExp(part))).join('');
}

/** `**` may stand for no folder at all. */
function patternSource(segments: string[]): string {
  return segments
    .map((segment, index) => {
      const last = index === segments.length - 1;
      if (segment === '**') return last ? '.+' : '(?:[^/]+/)*';
      return segmentSource(segment) + (last ? '' : '/');
    })
    .join('');
}

function parseRule(line: string): Rule | null {
  const text = line.replace(/\s+$/, '');
  if (text === '' || text.startsWith('#')) return null;
  const negated = text.startsWith('!');
  const body = negated ? text.slice(1) : text;
  const directoriesOnly = body.endsWith('/');
  const trimmed = body.replace(/\/+$/, '');
  const anchored = trimmed.includes('/');
  const segments = trimmed.split('/').filter((segment) => segment !== '' && segment !== '.');
  if (segments.length === 0) return null;
  const collapsed = segments.filter((segment, index) => segment !== '**' || segments[index - 1] !== '**');
  const source = patternSource(anchored ? collapsed : ['**', ...collapsed.filter((segment) => segment !== '**')]);
  return { pattern: new RegExp(`^${source}$`, 'u'), directoriesOnly, negated };
}

export function parseIgnoreFile(text: string): IgnoreTest {
  const rules = text.split(/\r?\n/).flatMap((line) => parseRule(line) ?? []);
  return (path, isDirectory) => {
    const last = rules.findLast((rule) => (isDirectory || !rule.directoriesOnly) && rule.pattern.test(path));
    return last !== undefined && !last.negated;
  };
}
