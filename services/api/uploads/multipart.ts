/** An upload: at most one field `config`, then the field `archive`, which is never held in memory. */
import { type Readable, Transform } from 'node:stream';
import type { MultipartFile, MultipartValue } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { coerceError, WaferError } from '../../core/errors.ts';
import type { UploadSource } from '../../core/functions/types.ts';
import type { ApiLimits } from '../limits.ts';

const ORDER_HINT = 'Send the fields "config" (JSON, optional) and then "archive" (tar.gz or zip).';

/** The size of the archive is counted by us: the plugin would cut it silently. */
export const multipartOptions = (limits: ApiLimits) => ({
  limits: {
    fileSize: Number.POSITIVE_INFINITY,
    fieldSize: limits.configBytes,
    files: 2,
    fields: 1,
    parts: 2,
    fieldNameSize: 64,
  },
  throwFileSizeLimit: false,
});

/** What `readUpload` reads, as OpenAPI's media type. */
export const uploadDocs = (config: object, archive: string) => ({
  schema: {
    type: 'object',
    required: ['archive'],
    description: 'The fields in this order.',
    properties: {
      config,
      archive: { type: 'string', contentMediaType: 'application/octet-stream', description: archive },
    },
  },
});

/** @throws WaferError `unsupported_media_type | invalid_request | invalid_json | invalid_archive | archive_too_large` */
export async function readUpload(
  request: FastifyRequest,
  limits: ApiLimits,
): Promise<{ source: UploadSource; config?: unknown }> {
  if (!request.isMultipart()) {
    throw new WaferError('unsupported_media_type', 'A deploy is multipart/form-data or application/json.', {
      hint: ORDER_HINT,
    });
  }
  let config: { config?: unknown } = {};
  try {
    for await (const part of request.parts()) {
      if (part.type === 'file' && part.fieldname === 'config') config = { config: await configFile(part, limits) };
      else if (part.type === 'file') return { source: await archiveSource(part, limits), ...config };
      else config = { config: configField(part, limits) };
    }
  } catch (error) {
    // The rest is read away, or a client that sends all before it reads would never see why.
    request.raw.unpipe();
    request.raw.resume();
    throw uploadError(error);
  }
  throw new WaferError('invalid_request', 'The upload has no field "archive".', { hint: ORDER_HINT });
}

/** The parser's own errors say what is wrong with the form, not with the platform. */
function uploadError(error: unknown): unknown {
  const { message, name } = coerceError(error);
  const registered = error instanceof WaferError || (error as { code?: string }).code?.startsWith('FST_') === true;
  if (registered || name === 'TypeError') return error;
  return new WaferError('invalid_request', `The upload is not valid multipart/form-data: ${message}.`, {
    cause: error,
  });
}

function configField({ fieldname, value, valueTruncated }: MultipartValue, limits: ApiLimits): unknown {
  if (fieldname !== 'config') {
    const shown = JSON.stringify(fieldname.slice(0, 64));
    throw new WaferError('invalid_request', `The upload has the unknown field ${shown}.`, { hint: ORDER_HINT });
  }
  if (valueTruncated) {
    throw new WaferError('payload_too_large', `The field "config" is larger than ${limits.configBytes} bytes.`);
  }
  // A field that says it is JSON was parsed by the plugin.
  return typeof value === 'string' ? parseConfig(value) : value;
}

/** Many clients send JSON parts with a file name (`curl -F config=@wafer.json`). */
async function configFile({ file }: MultipartFile, limits: ApiLimits): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of file as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > limits.configBytes) {
      throw new WaferError('payload_too_large', `The field "config" is larger than ${limits.configBytes} bytes.`);
    }
    chunks.push(chunk);
  }
  return parseConfig(Buffer.concat(chunks).toString('utf8'));
}

function parseConfig(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new WaferError('invalid_json', `The field "config" is not valid JSON: ${coerceError(cause).message}`, {
      cause,
    });
  }
}

async function archiveSource({ fieldname, file }: MultipartFile, limits: ApiLimits): Promise<UploadSource> {
  if (fieldname !== 'archive') {
    const shown = JSON.stringify(fieldname.slice(0, 64));
    throw new WaferError('invalid_request', `The upload has the unknown file field ${shown}.`, { hint: ORDER_HINT });
  }
  const { stream, head } = archiveStream(file, limits.archiveBytes);
  const format = archiveFormat(await head);
  if (format !== null) return { kind: 'archive', format, stream };
  stream.destroy();
  throw new WaferError('invalid_archive', 'The archive is neither a tar.gz nor a zip.', {
    hint: 'Make one with: tar -czf archive.tar.gz -C <folder> .',
  });
}

const MAGIC_BYTES = 4;

export function archiveFormat(head: Buffer): 'tar.gz' | 'zip' | null {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'tar.gz';
  if (head[0] !== 0x50 || head[1] !== 0x4b) return null;
  // "PK" and a local file header, or the end record of an empty archive
  const isZip = (head[2] === 3 && head[3] === 4) || (head[2] === 5 && head[3] === 6);
  return isZip ? 'zip' : null;
}

/**
 * The archive with its bytes counted, and its first bytes as soon as they are there.
 * An upload that breaks off fails both.
 */
function archiveStream(file: Readable, maxBytes: number): { stream: Transform; head: Promise<Buffer> } {
  let bytes = 0;
  let held: Buffer = Buffer.alloc(0);
  let settleHead: (head: Buffer) => void = () => {};
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > maxBytes)
        return done(new WaferError('archive_too_large', `The archive is larger than ${maxBytes} bytes.`));
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      if (bytes < MAGIC_BYTES) return done();
      settleHead(held);
      done(null, held);
      held = Buffer.alloc(0);
    },
    flush(done) {
      settleHead(held);
      done(null, held);
    },
  });
  const head = new Promise<Buffer>((resolve, reject) => {
    settleHead = resolve;
    // Also keeps an error without another reader from ending the process.
    stream.on('error', reject);
  });
  connect(file, stream);
  return { stream, head };
}

/** `pipe` with errors passed forward, and with the source read away when the reader is gone, or the parser would wait for ever. */
function connect(file: Readable, stream: Transform): void {
  const broken = (cause?: Error) => {
    if (!file.readableEnded) stream.destroy(new WaferError('invalid_request', 'The upload broke off.', { cause }));
  };
  file.on('error', broken).on('close', () => broken());
  stream.on('close', () => {
    file.unpipe(stream);
    file.resume();
  });
  file.pipe(stream);
}
