/** All values of a flag that may be given more than once; the argument parser keeps only the last. */
export function repeated(rawArgs: readonly string[], names: readonly string[]): string[] {
  const values: string[] = [];
  for (let index = 0; index < rawArgs.length; index += 1) {
    const token = rawArgs[index] ?? '';
    if (token === '--') break;
    const [flag = '', inline] = token.split(/=(.*)/s);
    if (!names.includes(flag)) continue;
    const value = inline ?? rawArgs[++index];
    if (value !== undefined) values.push(value);
  }
  return values;
}
