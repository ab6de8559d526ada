/** Answers each frame with its JSON, parsed and written again, as a handler that gives its event back does. */
import { Socket } from 'node:net';
import { readFrames, writeFrame } from './hop-frames.mjs';

const socket = new Socket({ fd: 3, readable: true, writable: true });
const handler = (event) => event;
readFrames(socket, (call, body) => writeFrame(socket, call, Buffer.from(JSON.stringify(handler(JSON.parse(body))))));
