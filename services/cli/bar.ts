const WIDTH = 40;
const STEPS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** A bar of `share` (0 to 1) of 40 characters, to an eighth of one. */
export function bar(share: number): string {
  const eighths = Math.round(Math.min(1, share) * WIDTH * 8);
  return '█'.repeat(Math.floor(eighths / 8)) + (STEPS[eighths % 8] ?? '');
}
