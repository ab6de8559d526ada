/** docs/docker-concepts.md says where things are: they are there, and nothing is left out. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import type { Command, CommandEntry } from '../../services/cli/command.ts';
import { COMMANDS } from '../../services/cli/registry.ts';
import { KEYWORDS } from '../../services/core/images/dockerfile/types.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const text = readFileSync(join(ROOT, 'docs/docker-concepts.md'), 'utf8');
const quoted = [...text.matchAll(/`([^`]+)`/g)].map(([, one = '']) => one);

async function namesOf(entries: readonly CommandEntry[], above = 'wafer'): Promise<string[]> {
  const all = entries.map(async ({ name, load }) => {
    const command: Command = (await load()).default;
    return command.commands === undefined ? [`${above} ${name}`] : namesOf(command.commands, `${above} ${name}`);
  });
  return (await Promise.all(all)).flat();
}

it('every path in the table exists', () => {
  const paths = quoted.filter((one) => /^(services|runtime|infra|test)\/\S+\.\w+$/.test(one));
  expect(paths.length).toBeGreaterThan(100);
  expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

it('every instruction is in the table', () => {
  expect(KEYWORDS.filter((keyword) => !quoted.includes(keyword))).toEqual([]);
});

it('every command of images and containers is in the table, and no other', async () => {
  const isOurs = ({ group }: (typeof COMMANDS)[number]) => group === 'Images' || group === 'Containers';
  const names = await namesOf(COMMANDS.filter(isOurs));
  expect(names.filter((name) => !quoted.includes(name))).toEqual([]);
  const known = await namesOf(COMMANDS);
  expect(
    quoted.filter((one) => /^wafer [a-z ]+$/.test(one) && one !== 'wafer image NAME' && !known.includes(one)),
  ).toEqual([]);
});
