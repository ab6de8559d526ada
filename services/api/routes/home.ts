/** `/`: what a person sees who opens the address in a browser. One file, nothing loaded from anywhere. */
import { createHash } from 'node:crypto';
import type { App } from '../http/create-server.ts';
import { content, problems } from '../openapi/docs.ts';

const STYLE = `
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5b6575; --line: #e3e6eb; --page: #fbfaf7; --card: #fff; --warm: #b4541a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaee; --soft: #9aa4b4; --line: #2c333e; --page: #14171c; --card: #1b1f26; --warm: #f0a063; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.6 system-ui, sans-serif; }
main { max-width: 44rem; margin: 0 auto; padding: 4.5rem 1.5rem 3rem; }
.mark { width: 52px; display: block; }
.mark path { stroke: var(--warm); fill: none; stroke-width: 3; stroke-linejoin: round; }
h1 { font-size: 2.1rem; line-height: 1.2; letter-spacing: -0.02em; margin: 1.1rem 0 0.3rem; }
h2 { font-size: 1rem; margin: 2.4rem 0 0.6rem; }
.lead { font-size: 1.1rem; color: var(--soft); margin: 0; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.1rem; overflow-x: auto; font: 13.5px/1.7 ui-monospace, monospace; margin: 0; }
ul { list-style: none; margin: 0; padding: 0; display: grid; grid-template-columns: repeat(auto-fit, minmax(12.5rem, 1fr)); gap: 0.75rem; }
li a { display: block; height: 100%; background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 0.8rem 1rem; color: inherit; text-decoration: none; }
li a:hover, li a:focus-visible { border-color: var(--warm); outline: none; }
li b { display: block; color: var(--warm); }
li span { color: var(--soft); font-size: 0.9rem; }
code { font: 0.92em ui-monospace, monospace; }
footer { margin-top: 2.6rem; color: var(--soft); font-size: 0.9rem; }
`;

const CSP = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

const LINKS = [
  ['/docs', 'API browser', 'Every route, with examples'],
  ['/openapi.json', 'OpenAPI', 'For generated clients'],
  ['/readyz', 'Ready?', 'What works, what does not'],
  ['/healthz', 'Alive?', 'For the load balancer'],
];

export function homeRoutes(app: App, version: string): void {
  app.get(
    '/',
    {
      config: { open: true },
      schema: {
        tags: ['platform'],
        operationId: 'home',
        summary: 'A page that says what this is',
        response: { 200: content('The page', { 'text/html': { type: 'string' } }), ...problems('internal') },
      },
    },
    async ({ headers }, reply) => {
      const html = page(version, baseUrl(headers.host));
      return reply.header('content-security-policy', CSP).header('content-type', 'text/html; charset=utf-8').send(html);
    },
  );
}

/** The address as the browser knows it; a strange one is left out instead of shown. */
const baseUrl = (host: string | undefined) =>
  `http://${/^[A-Za-z0-9.\-[\]:]{1,255}$/.test(host ?? '') ? host : '127.0.0.1:7070'}`;

const page = (version: string, url: string) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Wafer</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<main>
<svg class="mark" viewBox="0 0 52 44" aria-hidden="true"><path d="M26 3 49 14 26 25 3 14Z"/><path d="m3 22 23 11 23-11"/><path d="m3 30 23 11 23-11"/></svg>
<h1>Wafer is running</h1>
<p class="lead">Serverless functions in rootless sandboxes: thin layers of your code over a shared base image.</p>
<h2>Deploy and call a function</h2>
<pre>npx wafer init hello
npx wafer deploy hello
npx wafer invoke hello --data '{"name":"Ada"}'</pre>
<h2>Or with curl</h2>
<pre>curl ${url}/v1/functions/hello/invoke \\
  -H "Authorization: Bearer $(cat $WAFER_DATA/admin.key)" \\
  -H "Content-Type: application/json" -d '{"name":"Ada"}'</pre>
<h2>Look around</h2>
<ul>
${LINKS.map(([href, name, text]) => `<li><a href="${href}"><b>${name}</b><span>${text}</span></a></li>`).join('\n')}
</ul>
<footer>Version ${version}. Functions answer at <code>/fn/&lt;name&gt;/</code>; calls and everything at <code>/v1</code> need the key.</footer>
</main>
</body>
</html>
`;
