/** Answers an invoice as a PDF: its drawing is text, a program of Debian renders it. */
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { drawInvoice } from './invoice.mjs';

createServer(async (request, response) => {
  try {
    const drawing = drawInvoice(JSON.parse((await text(request)) || '{}'));
    const render = spawn('rsvg-convert', ['--format', 'pdf'], { stdio: ['pipe', 'pipe', 'inherit'] });
    render.on('error', (error) => response.destroy(error));
    response.setHeader('content-type', 'application/pdf');
    render.stdout.pipe(response);
    render.stdin.end(drawing);
  } catch (error) {
    response.statusCode = 400;
    response.end(`${error.message}\n`);
  }
}).listen(process.env.PORT);
