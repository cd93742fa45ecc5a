// Node's way: NTP over UDP. Sockets live for a round, so that a late reply meets nobody.

import { now } from '../counter.js';
import { nodeModule } from '../environment.js';
import { failure, Trouble } from '../failure.js';
import { Names, Turns } from './addresses.js';

/** Where a request stands that its server returns (RFC 5905, section 7.3: origin timestamp). */
const ORIGIN_AT = 24;

export class Udp {
    via = 'udp';
    boundAssumed = false;
    #host;
    #target;
    #names;
    /** The address that answered last. */
    #answering = null;
    /** The one before, for as long as none has answered instead. */
    #before = null;
    /** How many rounds have failed: the next begins with another address. */
    #failures = 0;
    #round = new Round();

    constructor(host, target) {
        this.#host = host;
        this.#target = target;
        this.#names = new Names(target);
        this.server = target.shown;
    }

    /** The address that answers, null while none does. */
    get address() {
        return this.#answering;
    }

    async send(cookie) {
        // The core's buffer serves others before the socket is there.
        const packet = this.#host.core().packet();
        const round = this.#round;
        try {
            const addresses = await this.#names.addresses((why) => this.#tell(round, why));
            if (round.over) return;
            round.turns ??= new Turns(addresses, this.#answering, this.#failures);
            for (let tries = 0; tries < round.turns.count; tries++) {
                const next = round.turns.next(now());
                const socket = await this.#socket(round, next);
                if (round.over) return;
                if (!socket) continue;
                const at = now();
                socket.send(packet, (error) => error && this.#refused(round, next.address, error));
                this.#host.sent(cookie, at);
                return;
            }
            this.#host.notSent(cookie, round.turns.trouble);
        } catch (error) {
            if (!round.over) this.#host.notSent(cookie, this.#reported(error));
        }
    }

    /** The round's socket to this address, or null where it refuses at once. */
    async #socket(round, { address, family }) {
        const dgram = await nodeModule('node:dgram');
        if (round.over) return null;
        const known = round.sockets.get(address);
        if (known) return known;
        const socket = dgram.createSocket(family === 6 ? 'udp6' : 'udp4').unref();
        round.sockets.set(address, socket);
        socket.on('message', (datagram) => this.#receive(round, address, datagram, now()));
        const connected = await new Promise((settle) => {
            socket.on('error', (error) => {
                this.#refused(round, address, error);
                settle(false);
            });
            // Without a callback for errors: they come as events, like all later ones.
            socket.once('connect', () => settle(true));
            socket.connect(this.#target.port, address);
        });
        if (connected || round.over) return socket;
        round.sockets.delete(address);
        socket.close();
        return null;
    }

    #receive(round, address, datagram, t4) {
        if (round.over) return;
        const core = this.#host.core();
        if (round.answered !== null && round.answered !== address) {
            // A round is one server's: another may have another time, within its own error.
            const asked = datagram.length >= ORIGIN_AT + 8 && datagram.readBigUInt64BE(ORIGIN_AT);
            core.wasm.refuse(asked || 0n, 1, t4, now());
        } else if (core.datagram(datagram, t4, now())) {
            round.answered = address;
            this.#answers(address);
        }
        this.#host.drive();
    }

    #answers(address) {
        if (address === this.#answering) return;
        const before = this.#answering ?? this.#before;
        this.#answering = address;
        if (before !== null && before !== address) this.#host.moved(address, before);
    }

    #refused(round, address, error) {
        if (round.over) return;
        round.turns.refuse(address, this.#reported(error, address));
        this.#tell(round, round.turns.trouble);
    }

    #tell(round, trouble) {
        if (!round.over) this.#host.trouble(trouble);
    }

    #reported(error, address = this.#target.host) {
        const where = address === this.#target.host ? this.server : `${this.server} at ${address}`;
        if (error instanceof Trouble) return failure(error.code, `${where}: ${error.message}`);
        const { code = '', message = String(error) } = Object(error);
        // The system's errors have their code in their message already.
        const words = message.includes(code) ? message : `${code} ${message}`;
        return failure(CODES[code] ?? 'not_sent', `${where}: ${words}`);
    }

    roundOver(believed) {
        this.close();
        if (believed) return;
        this.#failures++;
        // It answers no more; perhaps the name leads elsewhere by now.
        this.#before = this.#answering ?? this.#before;
        this.#answering = null;
        this.#names.search().catch(() => {});
    }

    close() {
        this.#round.end();
        this.#round = new Round();
    }
}

/** The sockets of a round, and what came of each address. */
class Round {
    over = false;
    sockets = new Map();
    turns = null;
    /** The address whose reply was believed. */
    answered = null;

    end() {
        this.over = true;
        for (const socket of this.sockets.values()) socket.close();
    }
}

const CODES = {
    ECONNREFUSED: 'refused',
    ENETUNREACH: 'unreachable',
    EHOSTUNREACH: 'unreachable',
    EADDRNOTAVAIL: 'unreachable',
    EACCES: 'not_permitted',
    EPERM: 'not_permitted',
};
