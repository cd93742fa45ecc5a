// What two programs say of their counters: a member of `tracestate`, and a response's header.

/** The member's key. */
export const KEY = 'ntpclock';
/** The response's header. */
export const HEADER = 'ntp-clock-exchange';

const MOST_CHARACTERS = 512;
const MOST_MEMBERS = 32;
const MOST_NS = 2n ** 63n - 1n;
/** Which counter: 64 bits, and how steered it may be where it is, in ppm. */
const COUNTER = '[0-9a-f]{16}(?:~[1-9][0-9]{0,5})?';
const MOMENT = '0|[1-9][0-9]{0,18}';
const EXCHANGE = `(${COUNTER})\\.(${MOMENT})\\.(${MOMENT})\\.(${MOMENT})\\.(${MOMENT})`;
const MEMBER = new RegExp(`^1\\.(${COUNTER})\\.(${MOMENT})(?:\\.${EXCHANGE})?$`);
const ANSWER = new RegExp(`^1\\.(${COUNTER})\\.(${MOMENT})\\.(${MOMENT})\\.(${MOMENT})$`);

/**
 * The member's value. `exchange` is a whole one: `{ peer, t1, t2, t3, t4 }`, t1 and t4 by the
 * sender's counter, t2 and t3 by the peer's; or null.
 */
export function formatMember({ counter, sentNs, exchange = null }) {
    const short = `1.${counter}.${sentNs}`;
    if (exchange === null) return short;
    const { peer, t1, t2, t3, t4 } = exchange;
    return `${short}.${peer}.${t1}.${t2}.${t3}.${t4}`;
}

/** What the value says; null where it is malformed or cannot be true: it comes from the network. */
export function parseMember(value) {
    const found = MEMBER.exec(value);
    // In JavaScript `$` is the very end.
    if (found === null) return null;
    const [, counter, sent, peer, ...times] = found;
    const numbers = (peer === undefined ? [sent] : [sent, ...times]).map(BigInt);
    if (numbers.some((ns) => ns > MOST_NS)) return null;
    const [sentNs, t1, t2, t3, t4] = numbers;
    if (peer === undefined) return { counter, sentNs, exchange: null };
    if (peer === counter || t4 < t1 || t3 < t2 || t4 > sentNs) return null;
    return { counter, sentNs, exchange: { peer, t1, t2, t3, t4 } };
}

/**
 * The header's value: when the request was sent, as its member said, and when it arrived and the
 * answer left, by the server's counter.
 */
export const formatAnswer = ({ counter, t1, t2, t3 }) => `1.${counter}.${t1}.${t2}.${t3}`;

/** What the header says; null as with the member. */
export function parseAnswer(value) {
    const found = ANSWER.exec(value);
    if (found === null) return null;
    const [t1, t2, t3] = found.slice(2).map(BigInt);
    if (t1 > MOST_NS || t2 > t3 || t3 > MOST_NS) return null;
    return { counter: found[1], t1, t2, t3 };
}

const membersOf = (tracestate) =>
    tracestate
        .split(',')
        .map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ''))
        .filter((member) => member !== '');
const isOurs = (member) => member.startsWith(`${KEY}=`);

/** The value of our member in a `tracestate`; null where there is none, or more than one. */
export function memberOf(tracestate) {
    const ours = membersOf(tracestate).filter(isOurs);
    return ours.length === 1 ? ours[0].slice(KEY.length + 1) : null;
}

/** The `tracestate` with our member in front, as long a one as there is room for. */
export function withMember(tracestate, { short, long }) {
    const others = membersOf(tracestate).filter((member) => !isOurs(member));
    if (others.length < MOST_MEMBERS) {
        for (const value of [long, short]) {
            const all = [`${KEY}=${value}`, ...others].join(',');
            if (all.length <= MOST_CHARACTERS) return all;
        }
    }
    return others.join(',');
}
