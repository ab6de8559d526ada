/**
 * The terminal: the only file that writes to stdout and stderr. Results go to stdout,
 * everything about the way there (progress, build logs, errors) to stderr, so that
 * `wafer invoke f | jq` sees the result alone.
 */
import { stripVTControlCharacters, styleText } from 'node:util';

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan' | 'blue' | 'magenta';
type Paint = (style: Style, text: string) => string;

export interface Column {
  header: string;
  align?: 'left' | 'right';
  style?: Style;
}

/** Work in progress: a spinner on a terminal; elsewhere only its end is printed. */
export interface Task {
  update(text: string): void;
  done(text: string): void;
  fail(text: string): void;
  /** Ends without a line. Idempotent. */
  clear(): void;
}

/** Lines that are drawn again and again in one place; nothing without a terminal. */
export interface LiveLines {
  draw(lines: readonly string[]): void;
  /** Idempotent. */
  clear(): void;
}

export interface Ui {
  readonly stdoutIsTty: boolean;
  readonly stderrIsTty: boolean;
  /** Colours for text that goes to stdout. */
  readonly paint: Paint;
  /** Colours for text that goes to stderr. */
  readonly paintErr: Paint;
  out(text?: string): void;
  err(text?: string): void;
  /** Unchanged bytes to stdout; resolves when they were taken. */
  raw(bytes: Uint8Array | string): Promise<void>;
  /** The same to stderr. */
  rawErr(bytes: Uint8Array | string): Promise<void>;
  json(value: unknown): void;
  table(columns: readonly Column[], rows: readonly (readonly string[])[]): void;
  /** Label and value pairs. */
  pairs(rows: readonly (readonly [label: string, value: string])[]): void;
  task(text: string): Task;
  /** On stderr. */
  live(): LiveLines;
  /** On stdout, for what is itself the result. */
  liveOut(): LiveLines;
}

interface Output {
  write(chunk: Uint8Array | string, done?: (error?: Error | null) => void): boolean;
  isTTY?: boolean;
  columns?: number;
}

const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 80;

type Env = Record<string, string | undefined>;

/** https://no-color.org, FORCE_COLOR, and no colours where nobody looks. */
function wantsColour(stream: Output, env: Env): boolean {
  if (env['NO_COLOR']) return false;
  if (env['FORCE_COLOR']) return env['FORCE_COLOR'] !== '0';
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}

const painter = (enabled: boolean): Paint =>
  enabled ? (style, text) => styleText(style, text, { validateStream: false }) : (_style, text) => text;

const width = (text: string) => stripVTControlCharacters(text).length;

function pad(text: string, size: number, align: Column['align']): string {
  const space = ' '.repeat(Math.max(0, size - width(text)));
  return align === 'right' ? space + text : text + space;
}

export function renderTable(columns: readonly Column[], rows: readonly (readonly string[])[], paint: Paint): string[] {
  const sizes = columns.map((column, index) =>
    Math.max(column.header.length, ...rows.map((row) => width(row[index] ?? ''))),
  );
  const line = (cells: readonly string[], style: (column: Column, text: string) => string) =>
    columns
      .map((column, index) => style(column, pad(cells[index] ?? '', sizes[index] ?? 0, column.align)))
      .join('   ')
      .trimEnd();
  const heading = line(
    columns.map((column) => column.header),
    (_column, text) => text,
  );
  const body = rows.map((row) => line(row, (column, text) => (column.style ? paint(column.style, text) : text)));
  return [paint('dim', heading), ...body];
}

function createTask(text: string, stream: Output, paint: Paint): Task {
  let current = text;
  let frame = 0;
  let timer: NodeJS.Timeout | null = null;
  const draw = () => {
    frame = (frame + 1) % SPINNER.length;
    const room = Math.max(10, (stream.columns ?? 80) - 3);
    stream.write(`\r\u001b[2K${paint('cyan', SPINNER[frame] ?? '')} ${current.slice(0, room)}`);
  };
  const clear = () => {
    if (timer === null) return;
    clearInterval(timer);
    timer = null;
    stream.write('\r\u001b[2K');
  };
  const end = (mark: string, style: Style) => (line: string) => {
    clear();
    stream.write(`${paint(style, mark)} ${line}\n`);
  };
  if (stream.isTTY === true) {
    timer = setInterval(draw, FRAME_MS);
    timer.unref();
    draw();
  }
  return {
    update: (next) => {
      current = next;
    },
    done: end('✓', 'green'),
    fail: end('✗', 'red'),
    clear,
  };
}

function createLiveLines(stream: Output): LiveLines {
  let height = 0;
  const clear = () => {
    if (height > 0) stream.write(`\u001b[${height}A\u001b[J`);
    height = 0;
  };
  return {
    clear,
    draw(lines) {
      if (stream.isTTY !== true) return;
      clear();
      // A line that is wrapped would be two.
      for (const line of lines) stream.write(`\u001b[?7l${line}\u001b[?7h\n`);
      height = lines.length;
    },
  };
}

const writeAll = (stream: Output, bytes: Uint8Array | string) =>
  new Promise<void>((resolve, reject) => {
    stream.write(bytes, (error) => (error ? reject(error) : resolve()));
  });

export function createUi(stdout: Output, stderr: Output, env: Env): Ui {
  const paint = painter(wantsColour(stdout, env));
  const paintErr = painter(wantsColour(stderr, env));
  const out = (text = '') => void stdout.write(`${text}\n`);
  return {
    stdoutIsTty: stdout.isTTY === true,
    stderrIsTty: stderr.isTTY === true,
    paint,
    paintErr,
    out,
    err: (text = '') => void stderr.write(`${text}\n`),
    raw: (bytes) => writeAll(stdout, bytes),
    rawErr: (bytes) => writeAll(stderr, bytes),
    json: (value) => out(JSON.stringify(value, null, 2)),
    table: (columns, rows) => {
      for (const line of renderTable(columns, rows, paint)) out(line);
    },
    pairs: (rows) => {
      const size = Math.max(0, ...rows.map(([label]) => label.length));
      for (const [label, value] of rows) out(`${paint('dim', label.padEnd(size))}   ${value}`);
    },
    task: (text) => createTask(text, stderr, paintErr),
    live: () => createLiveLines(stderr),
    liveOut: () => createLiveLines(stdout),
  };
}
