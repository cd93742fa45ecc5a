// The member of `tracestate` that says when a message was sent, and the exchange before it.

/** The member's key. */
export const KEY = 'ntpclock';

/** W3C's limit of a member's value. */
const MOST_CHARACTERS = 256;
/** Which counter: 64 bits, and how steered it may be where it is, in ppm. */
const COUNTER = '[0-9a-f]{16}(?:~[0-9]{1,6})?';
/** Nanoseconds by a counter, within 64 bits as far as digits tell. */
const NS = '-?[0-9]{1,19}';
const MEMBER = new RegExp(
    `^1\\.(${COUNTER})\\.(${NS})(?:\\.(${COUNTER})\\.(${NS})\\.(${NS})\\.(${NS})\\.(${NS}))?$`,
);
const LEAST_NS = -(2n ** 63n);
const MOST_NS = 2n ** 63n - 1n;

/**
 * The member's value. `exchange` is the last whole one with the receiver: `{ peer, t1, t2, t3, t4 }`,
 * t1 and t4 by the sender's counter, t2 and t3 by the peer's. It is left out where it does not fit.
 */
export function formatMember({ counter, sentNs, exchange = null }) {
    const short = `1.${counter}.${sentNs}`;
    if (exchange === null) return short;
    const { peer, t1, t2, t3, t4 } = exchange;
    const long = `${short}.${peer}.${t1}.${t2}.${t3}.${t4}`;
    return long.length <= MOST_CHARACTERS ? long : short;
}

/** What the value says; null where it is malformed, for it comes from the network. */
export function parseMember(value) {
    if (typeof value !== 'string' || value.length > MOST_CHARACTERS) return null;
    const found = MEMBER.exec(value);
    if (found === null) return null;
    const [, counter, sent, peer, ...times] = found;
    const given = peer === undefined ? [sent] : [sent, ...times];
    const numbers = given.map(BigInt);
    if (numbers.some((ns) => ns < LEAST_NS || ns > MOST_NS)) return null;
    const [sentNs, t1, t2, t3, t4] = numbers;
    const exchange = peer === undefined ? null : { peer, t1, t2, t3, t4 };
    return { counter, sentNs, exchange };
}
