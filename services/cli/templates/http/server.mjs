import { createServer } from 'node:http';

/** Any program that listens on $PORT is a function; this one answers every path. */
createServer((request, response) => {
  console.log(`${request.method} ${request.url}`);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ method: request.method, path: request.url }));
}).listen(Number(process.env.PORT), '127.0.0.1');
