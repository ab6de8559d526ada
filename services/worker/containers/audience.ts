/**
 * Who listens to a container's main program. Every session gets every byte; the program is
 * held back until each has taken what it was given. Whoever joins with a replay gets that
 * first, and what is said meanwhile behind it.
 */
import { Writable } from 'node:stream';
import type { ContainerLogLine, OutputStream, Session, TerminalSize } from '../../core/containers/types.ts';

type Listener = (stream: OutputStream, chunk: Buffer) => void | Promise<void>;

/** What sessions reach of the program that runs. */
export interface Stage {
  stdin: Writable | null;
  resize(size: TerminalSize): Promise<void>;
}

export interface Audience {
  /** `hasStdin`: sessions may send input. */
  join(options: { replay: AsyncIterable<ContainerLogLine> | null; hasStdin: boolean }): Session;
  /** Settles when every session has taken it. */
  say(stream: OutputStream, chunk: Buffer): void | Promise<void>;
  begin(stage: Stage): void;
  /** All output was said. Sessions end with this code when they have taken it. */
  end(exitCode: number): void;
  /** Size that somebody wished for before there was a program. */
  readonly wishedSize: TerminalSize | null;
}

interface Member {
  give(stream: OutputStream, chunk: Buffer): void | Promise<void>;
  end(exitCode: number): void;
}

export function createAudience(): Audience {
  const members = new Set<Member>();
  let wishedSize: TerminalSize | null = null;
  let stage: Stage | null = null;
  let onStage: (() => void)[] = [];
  const begun = () => (stage === null ? new Promise<void>((resolve) => onStage.push(resolve)) : Promise.resolve());
  const current = () => stage;

  return {
    join({ replay, hasStdin }) {
      const { member, ...output } = createMember(replay, () => members.delete(member));
      members.add(member);
      return {
        ...output,
        stdin: hasStdin ? sharedStdin(begun, current) : null,
        async resize(size) {
          wishedSize = size;
          await stage?.resize(size);
        },
      };
    },
    say(stream, chunk) {
      const slow = [...members].map((member) => member.give(stream, chunk)).filter((one) => one !== undefined);
      if (slow.length > 0) return Promise.all(slow).then(() => undefined);
    },
    begin(next) {
      stage = next;
      for (const wake of onStage.splice(0)) wake();
    },
    end(exitCode) {
      stage = null;
      wishedSize = null;
      onStage = [];
      for (const member of members) member.end(exitCode);
      members.clear();
    },
    get wishedSize() {
      return wishedSize;
    },
  };
}

type Output = Pick<Session, 'onOutput' | 'ended' | 'leave'> & { member: Member };

function createMember(replay: AsyncIterable<ContainerLogLine> | null, onLeave: () => void): Output {
  let listener: Listener = () => undefined;
  let hasLeft = false;
  let setLeft: () => void = () => undefined;
  const left = new Promise<void>((resolve) => {
    setLeft = resolve;
  });
  let listen: () => void = () => undefined;
  const listening = new Promise<void>((resolve) => {
    listen = resolve;
  });
  let end: (exitCode: number) => void = () => undefined;
  const ended = new Promise<number>((resolve) => {
    end = resolve;
  });
  /** Null when everything that was given was taken. */
  let last: Promise<void> | null = null;
  const after = (work: () => void | Promise<void>): Promise<void> => {
    const mine: Promise<void> = (last ?? Promise.resolve())
      .then(work)
      .catch(() => undefined) // a listener that fails has lost what it was given; it will leave
      .then(() => {
        if (last === mine) last = null;
      });
    last = mine;
    return mine;
  };
  void after(() => listening);
  if (replay !== null)
    void after(() => replayTo(replay, { give: (stream, bytes) => listener(stream, bytes), hasLeft: () => hasLeft }));
  return {
    ended,
    onOutput(next) {
      listener = next;
      listen();
    },
    leave() {
      hasLeft = true;
      setLeft();
      listener = () => undefined;
      listen();
      onLeave();
    },
    member: {
      give(stream, chunk) {
        if (last !== null) return after(() => listener(stream, chunk));
        const taken = tried(listener, stream, chunk);
        // Nobody waits for who has left with something in hand.
        if (taken !== undefined) return after(() => Promise.race([taken, left]));
      },
      end: (exitCode) => void after(() => end(exitCode)),
    },
  };
}

function tried(listener: Listener, stream: OutputStream, chunk: Buffer): void | Promise<void> {
  try {
    return listener(stream, chunk);
  } catch {
    return undefined; // as with one that rejects
  }
}

interface Reader {
  give: Listener;
  hasLeft: () => boolean;
}

async function replayTo(lines: AsyncIterable<ContainerLogLine>, { give, hasLeft }: Reader): Promise<void> {
  for await (const { stream, text, partial } of lines) {
    if (hasLeft()) return;
    await give(stream, Buffer.from(partial === true ? text : `${text}\n`));
  }
}

/** Each session has an end of its own; the first to end it ends the program's. Input for a program that is gone goes nowhere. */
function sharedStdin(begun: () => Promise<void>, stage: () => Stage | null): Writable {
  const target = async () => {
    await begun();
    const stdin = stage()?.stdin ?? null;
    return stdin?.writable === true ? stdin : null;
  };
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      void target().then((stdin) => (stdin === null ? done() : stdin.write(chunk, () => done())));
    },
    final(done) {
      void target().then((stdin) => {
        stdin?.end();
        done();
      });
    },
  });
}
