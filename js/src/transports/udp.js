// Node's way: NTP over UDP, a socket to a round, so that a late reply meets nobody.

import { nodeModule } from '../environment.js';

export class Udp {
    via = 'udp';
    boundAssumed = false;
    #host;
    #target;
    #socket = null;
    #next = 0;

    constructor(host, target) {
        this.#host = host;
        this.#target = target;
        this.server = target.shown;
    }

    async send(cookie) {
        // The core's buffer serves others before the socket is there.
        const packet = this.#host.core.packet();
        try {
            this.#socket ??= this.#connect();
            const opening = this.#socket;
            const socket = await opening;
            if (this.#socket !== opening) return;
            const at = performance.now();
            socket.send(packet, (error) => error && this.#host.trouble(this.#told(error)));
            this.#host.sent(cookie, at);
        } catch (error) {
            this.#socket = null;
            this.#host.notSent(cookie, this.#told(error));
        }
    }

    async #connect() {
        const dns = await nodeModule('node:dns/promises');
        const dgram = await nodeModule('node:dgram');
        const { host, port } = this.#target;
        const addresses = await dns.lookup(host, { all: true });
        // After a failed round the next address has its turn.
        const { address, family } = addresses[this.#next % addresses.length];
        const socket = dgram.createSocket(family === 6 ? 'udp6' : 'udp4').unref();
        socket.on('message', (datagram) => {
            const t4 = performance.now();
            this.#host.core.datagram(datagram, t4, performance.now());
            this.#host.drive();
        });
        socket.on('error', (error) => this.#host.trouble(this.#told(error)));
        await new Promise((resolve, reject) => {
            socket.once('error', reject);
            socket.connect(port, address, () => {
                socket.off('error', reject);
                resolve();
            });
        });
        return socket;
    }

    #told(error) {
        const { code = '', message = String(error) } = Object(error);
        // The system's errors have their code in their message already.
        return `${this.server}: ${message.includes(code) ? message : `${code} ${message}`}`;
    }

    roundOver(believed) {
        if (!believed) this.#next++;
        this.close();
    }

    close() {
        const opening = this.#socket;
        this.#socket = null;
        opening?.then(
            (socket) => socket.close(),
            () => {},
        );
    }
}
