// Opens a folder's page in Chromium and prints what it puts into `data-shown` of its body. Fails
// where the page's console has a warning or an error.
//
//     node bare-chromium.mjs CHROMIUM FOLDER

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';

// Where it is installed is beside what it tries, and no dependency of ours.
const { chromium } = createRequire(`${process.cwd()}/`)('playwright-core');

const [executablePath, folder] = process.argv.slice(2);
const TYPES = { '.html': 'text/html', '.js': 'text/javascript' };
const ARGUMENTS = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    // Nothing here asks the Internet.
    '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1',
];
const PATIENCE_MS = 120_000;

const server = createServer(async ({ url }, response) => {
    const path = url === '/' ? '/index.html' : url;
    try {
        const body = await readFile(join(folder, path));
        response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? '' }).end(body);
    } catch {
        response.writeHead(404).end();
    }
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

const browser = await chromium.launch({ executablePath, args: ARGUMENTS });
const page = await browser.newPage();
const complaints = [];
page.on('console', (message) => {
    if (message.type() === 'warning' || message.type() === 'error') complaints.push(message.text());
});
page.on('pageerror', (error) => complaints.push(String(error)));
page.on('requestfailed', (request) => complaints.push(`no answer: ${request.url()}`));
try {
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    const options = { timeout: PATIENCE_MS };
    const shown = await page.waitForFunction(() => document.body.dataset.shown, null, options);
    console.log(await shown.jsonValue());
} catch (error) {
    complaints.push(String(error));
}
await browser.close();
server.close();
if (complaints.length > 0) {
    console.error(complaints.join('\n'));
    process.exitCode = 1;
}
