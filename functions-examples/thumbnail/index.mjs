import sharp from 'sharp';

const PICTURE = new URL('picture.jpg', import.meta.url).pathname;
const MAX_WIDTH = 2000;

/** `{"width": 200, "format": "webp"}` -> the bytes of the smaller picture; `image` (base64) for another one. */
export async function handler(event) {
  const { width = 200, format = 'jpeg', image } = event ?? {};
  if (!Number.isInteger(width) || width < 1 || width > MAX_WIDTH) {
    throw new RangeError(`width must be a whole number from 1 to ${MAX_WIDTH}`);
  }
  if (!['jpeg', 'png', 'webp'].includes(format)) throw new RangeError('format must be jpeg, png or webp');
  const source = image === undefined ? PICTURE : Buffer.from(image, 'base64');
  const { data, info } = await sharp(source).resize({ width }).toFormat(format).toBuffer({ resolveWithObject: true });
  console.log(`${info.width} x ${info.height}, ${data.length} bytes of ${format}`);
  return new Response(data, { headers: { 'content-type': `image/${format}` } });
}
