/** [length u32][call u32][body] in both directions; one write a turn for what comes in one turn. */
const HEAD = 8;

export function writeFrame(socket, call, body) {
  const head = Buffer.allocUnsafe(HEAD);
  head.writeUInt32BE(body.length, 0);
  head.writeUInt32BE(call, 4);
  if (socket.writableCorked === 0) {
    socket.cork();
    process.nextTick(() => socket.uncork());
  }
  socket.write(Buffer.concat([head, body]));
}

export function readFrames(socket, take) {
  let rest = Buffer.alloc(0);
  socket.on('data', (bytes) => {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    while (rest.length >= HEAD && rest.length >= HEAD + rest.readUInt32BE(0)) {
      const end = HEAD + rest.readUInt32BE(0);
      take(rest.readUInt32BE(4), rest.subarray(HEAD, end));
      rest = rest.subarray(end);
    }
  });
}
