import express from 'express';

const app = express();
app.disable('x-powered-by');
app.use(express.json());

app.get('/', (_request, response) => {
  response.type('text').send('Hello from Express on Wafer\n');
});

app.get('/hello/:name', (request, response) => {
  console.log(`greeting ${request.params.name}`);
  response.json({ greeting: `Hello, ${request.params.name}!` });
});

app.post('/echo', (request, response) => {
  response.json({ query: request.query, body: request.body });
});

// Wafer says where to listen; requests come as soon as the port accepts.
app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1');
