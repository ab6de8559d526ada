/** Dockerfiles as text: what is read, and what is refused with file, line and column. */
import { describe, expect, it } from 'vitest';
import { DOCKERFILE_LIMITS } from '../../../services/core/images/dockerfile/limits.ts';
import { parseDockerfile, parseTriggers } from '../../../services/core/images/dockerfile/parse.ts';

const parse = (text: string | Buffer) => parseDockerfile(Buffer.from(text), 'Dockerfile');
const refusal = (text: string | Buffer) => {
  try {
    parse(text);
  } catch (error) {
    return error as { code: string; message: string; details: { file: string; line: number; column: number } };
  }
  throw new Error('it was not refused');
};
const first = (text: string) => parse(`FROM a\n${text}`).stages[0]?.instructions[0];

describe('parseDockerfile', () => {
  it.each([
    ['lower case', 'run echo', { keyword: 'RUN', args: 'echo' }],
    ['a continuation', 'RUN a && \\\n    b', { args: 'a &&     b' }],
    ['a continuation with blanks behind the mark', 'RUN a \\  \t\n b', { args: 'a  b' }],
    ['a comment in a continuation', 'RUN a \\\n# note\n\n  b', { args: 'a   b' }],
    ['a mark at the end of the file', 'RUN a \\', { args: 'a' }],
    ['two marks, which are a character', 'RUN a\\\\', { args: 'a\\\\' }],
    ['# in the middle of a line', 'RUN a # b', { args: 'a # b' }],
    ['the JSON form', 'CMD ["a", "b c"]', { json: ['a', 'b c'] }],
    ['what only looks like JSON', 'RUN [ -f x ] && y', { json: null, args: '[ -f x ] && y' }],
    ['an array that is not of strings', 'CMD [1]', { json: null }],
    ['JSON that is not closed', 'CMD ["a"', { json: null, args: '["a"' }],
    ['CRLF', 'RUN a\r', { args: 'a' }],
    ['tabs before the keyword', '\t\tRUN a', { args: 'a' }],
  ])('reads %s', (_what, text, expected) => {
    expect(first(text)).toMatchObject(expected);
  });

  it('drops a byte order mark', () => {
    expect(parse('\uFEFFFROM a').stages[0]?.base).toBe('a');
  });

  it('reads flags with their places, and leaves those of a command alone', () => {
    const copy = first('COPY --from=x --link --chown=a:b src /dst');
    expect(copy?.flags.map(({ name, value }) => [name, value])).toEqual([
      ['from', 'x'],
      ['link', null],
      ['chown', 'a:b'],
    ]);
    expect(copy?.args).toBe('src /dst');
    expect(copy?.flags[1]?.at).toEqual({ line: 2, column: 15 });
    expect(first('CMD --version')?.args).toBe('--version');
    expect(first('RUN -- --x')?.args).toBe('--x');
  });

  it('takes another escape from the directive, ignores `syntax`, and knows both only at the top', () => {
    expect(parse('# syntax=evil/frontend\n# escape=`\nFROM a\nRUN x `\n  y').stages[0]?.instructions[0]?.args).toBe(
      'x   y',
    );
    expect(parse('FROM a\n# escape=`\nRUN x `\nRUN y').stages[0]?.instructions).toHaveLength(2);
  });

  it('reads heredocs: several, with tabs taken away, quoted, and the instruction below them', () => {
    const { stages } = parse(
      'FROM a\nRUN <<A cat <<-"B"\n1\n# no comment\nA\n\t2\n\tB\nCOPY <<x.txt /d/\n$V\nx.txt\nUSER u\n',
    );
    const [run, copy, user] = stages[0]?.instructions ?? [];
    expect(run?.heredocs).toMatchObject([
      { name: 'A', content: '1\n# no comment\n', expand: true },
      { name: 'B', content: '2\n', expand: false },
    ]);
    expect(copy?.heredocs).toMatchObject([{ name: 'x.txt', content: '$V\n' }]);
    expect(user?.at).toEqual({ line: 11, column: 1 });
  });

  it('finds stages, their names in any case, and ARG before the first', () => {
    const { stages, globalArgs } = parse('ARG V=1\nFROM a AS Build\nRUN x\nfrom build');
    expect(stages.map(({ name, base, index }) => [name, base, index])).toEqual([
      ['build', 'a', 0],
      [null, 'build', 1],
    ]);
    expect(globalArgs).toHaveLength(1);
  });

  it.each([
    ['an unknown instruction', 'FROM a\nRUM x', 2, 1, 'Did you mean "RUN"?'],
    ['an unknown flag', 'FROM a\nCOPY --form=x a b', 2, 6, 'Did you mean "from"?'],
    ['an instruction without arguments', 'FROM a\n\n  RUN', 3, 3, 'nothing behind it'],
    ['a flag on a continuation line', 'FROM a\nCOPY \\\n  --nope a b', 3, 3, '--nope'],
    ['a heredoc that is not closed', 'FROM a\nRUN <<EOF\nx', 2, 5, 'EOF'],
    ['an instruction before FROM', 'RUN x', 1, 1, 'before the first FROM'],
    ['nothing at all', '# only a comment\n', 1, 1, 'no FROM'],
    ['an empty file', '', 1, 1, 'no FROM'],
    ['FROM with too much', 'FROM a as b c', 1, 1, 'FROM image AS name'],
    ['a stage name that is none', 'FROM a AS 1x', 1, 1, 'name of a stage'],
    ['two stages with one name', 'FROM a AS x\nFROM b AS X', 2, 1, 'two stages'],
    ['a NUL', 'FROM a\nRUN a\0b', 2, 6, 'NUL'],
    ['an escape that is none', '# escape=x\nFROM a', 1, 1, 'escape'],
    ['two escapes', '# escape=`\n# escape=`\nFROM a', 2, 1, 'twice'],
    ['ONBUILD in ONBUILD', 'FROM a\nONBUILD ONBUILD RUN x', 2, 1, 'ONBUILD'],
    ['ONBUILD FROM', 'FROM a\nONBUILD FROM x', 2, 1, 'FROM'],
    ['ONBUILD of nothing known', 'FROM a\nONBUILD RUM x', 2, 1, 'RUM'],
  ])('I26: refuses %s and says where', (_what, text, line, column, reason) => {
    const error = refusal(text);
    expect(error).toMatchObject({ code: 'invalid_dockerfile', details: { file: 'Dockerfile', line, column } });
    expect(error.message).toContain(`Dockerfile:${line}:${column}: `);
    expect(error.message).toContain(reason);
  });

  it.each([
    ['a line of 10 MB', Buffer.concat([Buffer.from('FROM a\nRUN '), Buffer.alloc(10_000_000, 120)])],
    ['a line over the cap', `FROM a\nRUN ${'x'.repeat(DOCKERFILE_LIMITS.lineLength)}`],
    ['100,000 lines', 'FROM a\n'.repeat(100_000)],
    ['1,000 stages', 'FROM a\n'.repeat(1_000)],
    ['too many instructions', `FROM a\n${'USER x\n'.repeat(DOCKERFILE_LIMITS.instructions + 2)}`],
    ['too many heredocs', `FROM a\nRUN ${Array.from({ length: 20 }, (_, i) => `<<E${i}`).join(' ')}`],
    ['what is not UTF-8', Buffer.from([0x46, 0x52, 0xff, 0xfe])],
  ])('I26: refuses %s', (_what, text) => {
    expect(refusal(text).code).toBe('invalid_dockerfile');
  });

  it('reads the triggers of an image, and refuses what can not be one', () => {
    expect(parseTriggers(['RUN x', 'COPY . /y'], 'ONBUILD of b').map(({ keyword }) => keyword)).toEqual([
      'RUN',
      'COPY',
    ]);
    expect(() => parseTriggers(['FROM x'], 'ONBUILD of b')).toThrow('ONBUILD of b:1:1');
  });
});
