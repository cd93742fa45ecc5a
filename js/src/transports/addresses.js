// The addresses of the server's name: found by one search at a time, asked in turn, and kept while
// they answer.

import { cancel, nodeModule, timer } from '../environment.js';
import { failure, failureOf, Trouble } from '../failure.js';
import { unusable } from '../server.js';

/** How long an address may be silent before the next one is asked (RFC 8305, section 5). */
const SILENCE_MS = 250;
/** Resolvers that are well have answered by then; the attempt is still under way. */
const PATIENCE_MS = 1000;

/** What the resolver says of a name. */
export class Names {
    #server;
    #known = null;
    #search = null;

    constructor(server) {
        this.#server = server;
    }

    /** The addresses last found, else those of the search; `slow` gets why it takes so long. */
    async addresses(slow) {
        if (this.#known) return this.#known;
        const words = `${this.#server.shown}: the resolver has not answered yet`;
        const limit = timer(() => slow(failure('no_address', words)), PATIENCE_MS);
        try {
            return await this.search();
        } finally {
            cancel(limit);
        }
    }

    /** Looks the name up, unless somebody still does: searches that hang do not add up. */
    search() {
        this.#search ??= this.#look().finally(() => (this.#search = null));
        return this.#search;
    }

    async #look() {
        const { host, isDefault } = this.#server;
        const found = await this.#resolved(host);
        const refused = found.filter(({ address }) => unusable(address, isDefault));
        const usable = found.filter((each) => !refused.includes(each));
        if (usable.length === 0) {
            const why = refused.map(
                ({ address }) => `${address} (${unusable(address, isDefault)})`,
            );
            throw new Trouble(
                'forbidden_address',
                `the resolver gave only addresses that no server has: ${why.join(', ')}`,
            );
        }
        this.#known = inTurn(usable);
        return this.#known;
    }

    async #resolved(host) {
        const net = await nodeModule('node:net');
        const family = net.isIP(host);
        if (family !== 0) return [{ address: host, family }];
        const dns = await nodeModule('node:dns/promises');
        try {
            return await dns.lookup(host, { all: true });
        } catch (error) {
            throw new Trouble('no_address', failureOf(error).text);
        }
    }
}

/** The families by turns (RFC 8305, section 4): where one does not work, the other is next. */
function inTurn(addresses) {
    const first = addresses[0].family;
    const some = addresses.filter(({ family }) => family === first);
    const others = addresses.filter(({ family }) => family !== first);
    const turns = some.flatMap((each, place) => [each, ...others.slice(place, place + 1)]);
    return turns.concat(others.slice(some.length));
}

/**
 * Which address a round's requests go to: the one that answered last for as long as it does, else
 * one after the other, each until it refuses or has been silent for a moment.
 */
export class Turns {
    #addresses;
    #answering;
    #at;
    #since = null;
    #refusals = new Map();

    /** `answering` answered last; `first` is whose turn it is where none did. */
    constructor(addresses, answering, first) {
        this.#addresses = addresses;
        this.#answering = addresses.findIndex(({ address }) => address === answering);
        this.#at = this.#answering < 0 ? first % addresses.length : this.#answering;
    }

    /** The address for a request at this moment. Where all have refused, they are asked again. */
    next(now) {
        const kept = this.#at === this.#answering;
        const silent = !kept && this.#since !== null && now - this.#since >= SILENCE_MS;
        if (silent) this.#move();
        for (let tries = 0; this.#refused() && tries < this.count; tries++) this.#move();
        this.#since ??= now;
        return this.#addresses[this.#at];
    }

    get count() {
        return this.#addresses.length;
    }

    /** An address says that nobody is there, or the system that there is no way to it. */
    refuse(address, why) {
        this.#refusals.set(address, why);
    }

    /** All that was refused, in words. */
    get trouble() {
        const whys = [...this.#refusals.values()];
        return failure(whys.at(-1).code, whys.map(({ text }) => text).join('; '));
    }

    #refused() {
        return this.#refusals.has(this.#addresses[this.#at].address);
    }

    #move() {
        this.#at = (this.#at + 1) % this.count;
        this.#since = null;
    }
}
