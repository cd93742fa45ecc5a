// The addresses of one name, as resolvers give them: dead, rotating, impossible, late.

import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import dns from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseServer, unusable } from '../src/server.js';
import {
    ROOT,
    clockOf,
    eventually,
    faultyServer,
    firstRoundOver,
    freeUdpPort,
    gathered,
    pause,
    runNode,
    syncs,
} from './support.mjs';

const vectors = (name) => JSON.parse(readFileSync(join(ROOT, 'tests/vectors', name), 'utf8')).cases;

for (const { name, text, host, port, shown, reason } of vectors('servers.json')) {
    test(`a server as people write it: ${name}`, () => {
        if (reason === undefined) {
            const { isDefault, ...read } = parseServer(text);
            assert.deepEqual(read, { host, port, shown });
            assert.equal(isDefault, /^time\.cloudflare\.com\.?$/.test(host));
            return;
        }
        const message =
            `invalid NTP server ${JSON.stringify(text)}: ${reason}; ` +
            'write a host name or address, with :port if it is not 123';
        assert.throws(() => parseServer(text), { name: 'ServerError', message });
    });
}

for (const { name, server, address, unusable: why } of vectors('server-addresses.json')) {
    test(`an address that a name leads to: ${name}`, () => {
        assert.equal(unusable(address, parseServer(server).isDefault), why);
    });
}

/** What a name leads to; `answers` is called for each search. Clocks of other tests have others. */
function resolving(t, name, answers) {
    const real = dns.lookup;
    const found = (address) => ({ address, family: address.includes(':') ? 6 : 4 });
    let searches = 0;
    t.mock.method(dns, 'lookup', async (host, ...options) => {
        if (host !== name) return real(host, ...options);
        searches++;
        return (await answers()).map(found);
    });
    return () => searches;
}

/** A server that is there and says nothing. */
async function silent(t, address, port) {
    const socket = dgram.createSocket('udp4');
    await new Promise((resolve) => socket.bind(port, address, resolve));
    let asked = 0;
    socket.on('message', () => asked++);
    t.after(() => socket.close());
    return () => asked;
}

const DEAD = [
    ['says nothing', '127.0.0.9', true],
    ['refuses', '127.0.0.8', false],
    ['has no server for its family', '::1', false],
];
for (const [what, dead, bound] of DEAD) {
    test(`a first address that ${what} costs no attempt`, async (t) => {
        const port = await freeUdpPort();
        await faultyServer(t, '--listen', `127.0.0.1:${port}`);
        if (bound) await silent(t, dead, port);
        resolving(t, 'dead-first.example', () => [dead, '127.0.0.1']);
        const clock = clockOf(t, { source: `dead-first.example:${port}` });
        const failed = gathered(clock, 'fail');
        assert.equal(await clock.waitSynced({ timeout: 60_000 }), true);
        const { address, server, attempts } = clock.getStatus();
        assert.deepEqual(
            [address, server, attempts],
            ['127.0.0.1', `dead-first.example:${port}`, 0],
        );
        await pause(10);
        assert.deepEqual(failed, []);
    });
}

test('where all addresses fail the reason names each of them', async (t) => {
    const port = await freeUdpPort();
    resolving(t, 'dead.example', () => ['::1', '127.0.0.8']);
    const clock = clockOf(t, { source: `dead.example:${port}` });
    assert.equal(await clock.sync(), false);
    const { lastError, lastErrorCode } = clock.getStatus();
    const at = (address) => `dead.example:${port} at ${address}: recvmsg ECONNREFUSED`;
    assert.equal(lastError, `no reply within 2 s (${at('::1')}; ${at('127.0.0.8')})`);
    assert.equal(lastErrorCode, 'refused');
});

test('an address is kept while it answers, however the name turns, and its end is an event', async (t) => {
    const port = await freeUdpPort();
    const counts = [0, 0];
    const open = new Set();
    const server = async (place, ahead) => {
        const socket = dgram.createSocket('udp4');
        open.add(socket);
        socket.on('close', () => open.delete(socket));
        const real = await faultyServer(t, '--offset', `${ahead}ms`);
        const [host, to] = real.split(':');
        // A proxy that counts, and that can be closed.
        await new Promise((resolve) => socket.bind(port, `127.0.0.${place + 1}`, resolve));
        socket.on('message', (request, from) => {
            counts[place]++;
            const carry = dgram.createSocket('udp4');
            carry.on('message', (reply) => {
                socket.send(reply, from.port, from.address);
                carry.close();
            });
            carry.send(request, Number(to), host);
        });
        t.after(() => open.has(socket) && socket.close());
        return socket;
    };
    const servers = [await server(0, 0), await server(1, 50)];
    let turn = 0;
    const addresses = ['127.0.0.1', '127.0.0.2'];
    resolving(t, 'turns.example', () => (turn++ % 2 ? addresses.toReversed() : addresses));
    const clock = clockOf(t, { source: `turns.example:${port}` });
    const moves = gathered(clock, 'address');
    const epochs = gathered(clock, 'epoch');
    await firstRoundOver(clock);
    // On a busy machine the first may have been silent for so long that the second was asked too.
    const kept = clock.getStatus().address;
    const other = addresses.find((address) => address !== kept);
    const asked = counts[addresses.indexOf(other)];
    for (let rounds = 0; rounds < 2; rounds++) {
        await pause(2500);
        await syncs(clock);
    }
    assert.deepEqual([counts[addresses.indexOf(other)], moves, epochs], [asked, [], []]);
    assert.equal(clock.getStatus().address, kept);
    // It dies: the other one takes over, in another epoch only where their bounds contradict.
    servers[addresses.indexOf(kept)].close();
    for (let rounds = 0; rounds < 5 && !(await clock.sync()); rounds++) await pause(1000);
    assert.equal(clock.getStatus().address, other);
    assert.ok(await eventually(() => moves.length > 0));
    assert.deepEqual(moves, [{ address: other, before: kept }]);
    assert.ok(epochs.every(({ code }) => code === 'server_contradiction'));
});

test('an address that no server has is never asked, and the status says so', async (t) => {
    const port = await freeUdpPort();
    const asked = await silent(t, '0.0.0.0', port);
    for (const [name, address, words] of [
        ['blocked.example', '0.0.0.0', '0.0.0.0 (the unspecified address)'],
        ['mapped.example', '::ffff:0.0.0.0', '::ffff:0.0.0.0 (the unspecified address)'],
        ['time.cloudflare.com', '127.0.0.1', '127.0.0.1 (this machine)'],
    ]) {
        resolving(t, name, () => [address]);
        const clock = clockOf(t, { source: `${name}:${port}` });
        assert.equal(await clock.sync(), false);
        const { lastError, lastErrorCode } = clock.getStatus();
        const why = `the resolver gave only addresses that no server has: ${words}`;
        assert.equal(lastError, `request could not be sent (${name}:${port}: ${why})`);
        assert.equal(lastErrorCode, 'forbidden_address');
        clock.stopAutoSync();
    }
    assert.equal(asked(), 0);
});

test('searches that hang do not add up, and the reason is in the status', async (t) => {
    const searches = resolving(t, 'hangs.example', () => new Promise(() => {}));
    const clock = clockOf(t, { source: 'hangs.example' });
    const failed = gathered(clock, 'fail');
    assert.ok(await eventually(() => failed.length >= 2));
    assert.equal(searches(), 1);
    const { code, error } = failed[0];
    assert.equal(code, 'no_address');
    assert.equal(error, 'no reply within 2 s (hangs.example: the resolver has not answered yet)');
});

test('a search that ends late is of use to the next attempt', async (t) => {
    const server = await faultyServer(t);
    const port = server.split(':')[1];
    resolving(t, 'late.example', async () => {
        await pause(2500);
        return ['127.0.0.1'];
    });
    const clock = clockOf(t, { source: `late.example:${port}` });
    const failed = gathered(clock, 'fail');
    assert.equal(await clock.waitSynced({ timeout: 60_000 }), true);
    assert.equal(failed.length, 1);
});

test('what one server forbids is nothing to another', async (t) => {
    const denies = await faultyServer(t, '--fault', 'kiss DENY');
    const clock = clockOf(t, { source: denies });
    assert.equal(await clock.sync(), false);
    // On a busy machine it is asked once more before its answer comes.
    const { lastErrorCode, state, requests } = clock.getStatus();
    assert.deepEqual([lastErrorCode, state], ['kiss_deny', 'failed']);
    // The one that said so is obeyed, however often it is configured.
    clock.configure({ source: denies });
    assert.equal(await clock.sync(), false);
    assert.equal(clock.getStatus().requests, requests);
    clock.configure({ source: await faultyServer(t) });
    await syncs(clock);
    assert.equal(clock.getStatus().lastErrorCode, null);
});

test('the variable is read as people write it', async (t) => {
    const server = await faultyServer(t);
    for (const written of [` ${server}\n`, `"${server}"`]) {
        const ran = runNode(
            `import clock from 'CLOCK'; await clock.waitSynced({ timeout: 60_000 });
             console.log(clock.getStatus().server, clock.now() !== null)`,
            { PORTACODE_NTP_SERVER: written },
        );
        assert.deepEqual([ran.code, ran.err, ran.out], [0, '', `${server} true\n`]);
    }
});
