import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const page = readFileSync('index.html');
let served = 0;

createServer((request, response) => {
  served += 1;
  if (request.url === '/') return response.setHeader('content-type', 'text/html').end(page);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ path: request.url, served }));
}).listen(process.env.PORT);
