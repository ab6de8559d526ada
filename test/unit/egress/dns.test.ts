import { Duplex } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { DNS_CODE, decodeQuery, encodeReply } from '../../../runtime/sandbox/egress/dns-message.ts';
import { createDnsRate, serveDns } from '../../../runtime/sandbox/egress/dns-session.ts';
import { createNameTable } from '../../../runtime/sandbox/egress/names.ts';
import { compilePolicy } from '../../../runtime/sandbox/egress/rules.ts';

const header = (id = 7, flags = 0x0100, questions = 1) => {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt16BE(id, 0);
  bytes.writeUInt16BE(flags, 2);
  bytes.writeUInt16BE(questions, 4);
  return bytes;
};
const labels = (name: string) =>
  Buffer.concat([
    ...name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.from([0]),
  ]);
const ask = (name: string, type = 1, cls = 1) =>
  Buffer.concat([header(), labels(name), Buffer.from([type >> 8, type, cls >> 8, cls])]);

const codeOf = (reply: Buffer) => reply.readUInt16BE(2) & 15;
const answersOf = (reply: Buffer) => reply.readUInt16BE(6);
const addressOf = (reply: Buffer) => [...reply.subarray(-4)].join('.');

describe('decodeQuery', () => {
  test('reads name, type and where the question ends', () => {
    const query = ask('Api.Example.com', 28);
    expect(decodeQuery(query)).toEqual({ name: 'Api.Example.com', type: 28, end: query.length });
  });

  test('ignores what comes after the question', () => {
    const query = Buffer.concat([ask('a.test'), Buffer.from('0000290fa0000000000000', 'hex')]);
    expect(decodeQuery(query)).toMatchObject({ name: 'a.test', type: 1 });
  });

  test.each([
    ['a pointer to itself', Buffer.from([0xc0, 12])],
    ['a pointer forward and back', Buffer.from([0xc0, 14, 0xc0, 12])],
    ['a label that runs out', Buffer.from([10, 97, 98])],
    ['no end of the name', Buffer.from([1, 97])],
    ['a reserved label kind', Buffer.from([0x80, 97, 0, 0, 1, 0, 1])],
    [
      'a name over 255 bytes',
      Buffer.concat([...new Array(6).fill(Buffer.from([50, ...new Array(50).fill(97)])), Buffer.from([0, 0, 1, 0, 1])]),
    ],
    ['a dot inside a label', Buffer.from([3, 97, 46, 98, 0, 0, 1, 0, 1])],
    ['a NUL inside a label', Buffer.from([3, 97, 0, 98, 0, 0, 1, 0, 1])],
    ['no type', labels('a.test')],
    ['nothing', Buffer.alloc(0)],
  ])('answers %s with "malformed"', (_, question) => {
    expect(decodeQuery(Buffer.concat([header(), question]))).toEqual({ code: DNS_CODE.malformed });
  });

  test('refuses other opcodes, counts and classes', () => {
    expect(decodeQuery(Buffer.concat([header(1, 0x2800), labels('a.test')]))).toEqual({
      code: DNS_CODE.notImplemented,
    });
    expect(decodeQuery(Buffer.concat([header(1, 0, 2), ask('a.test').subarray(12)]))).toEqual({
      code: DNS_CODE.malformed,
    });
    expect(decodeQuery(header(1, 0, 0))).toEqual({ code: DNS_CODE.malformed });
    expect(decodeQuery(ask('a.test', 1, 3))).toEqual({ code: DNS_CODE.refused });
  });

  test('has no answer for responses and scraps', () => {
    expect(decodeQuery(Buffer.concat([header(1, 0x8100), labels('a.test')]))).toBeNull();
    expect(decodeQuery(Buffer.alloc(11))).toBeNull();
  });

  test('survives random bytes', () => {
    let seed = 1;
    const random = () => (seed = (seed * 48271) % 2147483647);
    for (let i = 0; i < 5000; i++) {
      const query = Buffer.from(Array.from({ length: random() % 80 }, () => random() & 255));
      const question = decodeQuery(query);
      if (question !== null && 'name' in question) expect(question.end).toBeLessThanOrEqual(query.length);
    }
  });
});

test('encodeReply() repeats the question and carries one A record', () => {
  const query = ask('a.test');
  const question = decodeQuery(query);
  if (question === null || 'code' in question) throw new Error('not decoded');
  const reply = encodeReply(query, DNS_CODE.ok, question, Uint8Array.of(198, 18, 1, 0));
  expect(reply.toString('hex')).toBe(
    `0007${'8180'}0001000100000000${query.subarray(12).toString('hex')}c00c000100010000003c0004c6120100`,
  );
});

describe('names', () => {
  test('keep their address, and the address its name', () => {
    const names = createNameTable();
    expect([...(names.addressOf('a.test') ?? [])]).toEqual([198, 18, 1, 0]);
    expect([...(names.addressOf('b.test') ?? [])]).toEqual([198, 18, 1, 1]);
    expect([...(names.addressOf('a.test') ?? [])]).toEqual([198, 18, 1, 0]);
    expect(names.nameOf('198.18.1.1')).toBe('b.test');
    expect(names.nameOf('198.18.1.2')).toBeNull();
    expect(names.nameOf('198.18.0.1')).toBeNull();
    expect(names.nameOf('198.19.255.255')).toBeNull();
    expect(names.nameOf('198.20.0.0')).toBeUndefined();
    expect(names.nameOf('::1')).toBeUndefined();
  });

  test('end at the cap', () => {
    const names = createNameTable(2);
    expect(names.addressOf('a')).not.toBeNull();
    expect(names.addressOf('b')).not.toBeNull();
    expect(names.addressOf('c')).toBeNull();
    expect(names.addressOf('a')).not.toBeNull();
  });
});

/** A session without sockets: `ask` gives the reply, or `null` for none. */
function session(policy: Parameters<typeof compilePolicy>[0], clock = { ms: 0 }) {
  const out: Buffer[] = [];
  const refused: string[] = [];
  const duplex = new Duplex({
    read() {},
    write(chunk, _, done) {
      out.push(chunk);
      done();
    },
  });
  serveDns(duplex, {
    peers: () => null,
    policy: compilePolicy(policy),
    names: createNameTable(),
    onRefused: (name, reason) => refused.push(`${name}: ${reason}`),
    allow: createDnsRate(() => clock.ms),
  });
  const send = (bytes: Buffer) => duplex.emit('data', bytes);
  const frame = (query: Buffer, id = 9) => {
    const head = Buffer.alloc(6);
    head.writeUInt32BE(id, 0);
    head.writeUInt16BE(query.length, 4);
    return Buffer.concat([head, query]);
  };
  const reply = (query: Buffer) => {
    send(frame(query));
    return out.pop()?.subarray(6) ?? null;
  };
  return {
    duplex,
    out,
    refused,
    send,
    frame,
    reply: (query: Buffer) => reply(query) ?? Buffer.alloc(12),
    none: (query: Buffer) => reply(query),
  };
}

describe('serveDns', () => {
  test('answers allowed names with a synthetic address, whatever their case', () => {
    const { reply } = session({ mode: 'public' });
    expect(addressOf(reply(ask('a.test')))).toBe('198.18.1.0');
    expect(addressOf(reply(ask('A.TEST')))).toBe('198.18.1.0');
    expect(addressOf(reply(ask('b.test')))).toBe('198.18.1.1');
  });

  test('answers other types of allowed names with nothing', () => {
    const { reply } = session({ mode: 'public' });
    for (const type of [28, 5, 15, 16, 33, 65, 255]) {
      const answer = reply(ask('a.test', type));
      expect([codeOf(answer), answersOf(answer)]).toEqual([DNS_CODE.ok, 0]);
    }
  });

  test('says that a name outside the policy does not exist', () => {
    const { reply, refused } = session({ mode: 'list', allow: [{ host: 'a.test', port: 443 }] });
    expect(codeOf(reply(ask('b.test')))).toBe(DNS_CODE.noSuchName);
    expect(codeOf(reply(ask('x.a.test')))).toBe(DNS_CODE.noSuchName);
    expect(codeOf(reply(ask('a.test')))).toBe(DNS_CODE.ok);
    expect(refused).toEqual(['b.test: no rule allows the name', 'x.a.test: no rule allows the name']);
  });

  test.each(['localhost', 'x.localhost', '127.0.0.1', '2130706433', 'bad!name'])('%s does not exist', (name) => {
    expect(codeOf(session({ mode: 'public' }).reply(ask(name)))).toBe(DNS_CODE.noSuchName);
  });

  test('gives out at most 1000 names', () => {
    const clock = { ms: 0 };
    const { reply } = session({ mode: 'public' }, clock);
    for (let i = 0; i < 1000; i++) {
      clock.ms += 10;
      expect(codeOf(reply(ask(`n${i}.test`)))).toBe(DNS_CODE.ok);
    }
    clock.ms += 1000;
    expect(codeOf(reply(ask('one-more.test')))).toBe(DNS_CODE.refused);
    expect(codeOf(reply(ask('n5.test')))).toBe(DNS_CODE.ok);
  });

  test('limits the rate', () => {
    const clock = { ms: 0 };
    const { reply } = session({ mode: 'public' }, clock);
    for (let i = 0; i < 400; i++) expect(codeOf(reply(ask('a.test')))).toBe(DNS_CODE.ok);
    expect(codeOf(reply(ask('a.test')))).toBe(DNS_CODE.refused);
    clock.ms += 5;
    expect(codeOf(reply(ask('a.test')))).toBe(DNS_CODE.ok);
    expect(codeOf(reply(ask('a.test')))).toBe(DNS_CODE.refused);
  });

  test('takes frames in any pieces', () => {
    const { out, send, frame } = session({ mode: 'public' });
    const bytes = Buffer.concat([frame(ask('a.test'), 1), frame(ask('b.test'), 2)]);
    for (const byte of bytes) send(Buffer.from([byte]));
    expect(out.map((reply) => reply.readUInt32BE(0))).toEqual([1, 2]);
    expect(out.map((reply) => reply.readUInt16BE(4))).toEqual(out.map((reply) => reply.length - 6));
  });

  test('is closed by a frame over 4 KiB, and silent on a scrap', () => {
    const { duplex, send, none } = session({ mode: 'public' });
    expect(none(Buffer.alloc(3))).toBeNull();
    send(Buffer.from([0, 0, 0, 1, 0xff, 0xff]));
    expect(duplex.destroyed).toBe(true);
  });
});
