// An npm registry on the loopback address that has one package: the tarball it is given. It prints
// its URL and ends with its standard input. Runtimes that install by name alone are tried with it.
//
//     node bare-registry.mjs TARBALL PACKAGE.json

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const [tarball, manifest] = process.argv.slice(2).map((path) => readFileSync(path));
const { name, version, ...rest } = JSON.parse(manifest);
const FILE = '/package.tgz';

const server = createServer((request, response) => {
    if (request.url === FILE) {
        response.setHeader('content-type', 'application/octet-stream');
        response.end(tarball);
    } else if (decodeURIComponent(request.url) === `/${name}`) {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify(document()));
    } else {
        response.writeHead(404).end();
    }
});

/** What a registry says of a package. */
function document() {
    const digest = (algorithm, encoding) => createHash(algorithm).update(tarball).digest(encoding);
    const dist = {
        tarball: `${url()}${FILE}`,
        shasum: digest('sha1', 'hex'),
        integrity: `sha512-${digest('sha512', 'base64')}`,
    };
    const versions = { [version]: { name, version, ...rest, dist } };
    return { name, 'dist-tags': { latest: version }, versions };
}

const url = () => `http://127.0.0.1:${server.address().port}`;

server.listen(0, '127.0.0.1', () => console.log(url()));
process.stdin.on('close', () => process.exit()).resume();
