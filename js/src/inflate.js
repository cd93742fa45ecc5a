// DEFLATE (RFC 1951), because engines decompress only asynchronously: the clock starts at once.

/** The bytes that were deflated to these, `length` of them; input is trusted, for it is our own. */
export function inflate(bytes, length) {
    const out = new Uint8Array(length);
    let at = 0;
    let position = 0;
    let held = 0;
    let count = 0;

    const bits = (wanted) => {
        while (count < wanted) {
            held |= bytes[position++] << count;
            count += 8;
        }
        const value = held & ((1 << wanted) - 1);
        held >>>= wanted;
        count -= wanted;
        return value;
    };

    /** Codes of these lengths: how many there are of each length, and their symbols in order. */
    const codes = (lengths) => {
        const counts = new Uint16Array(16);
        for (const of of lengths) counts[of]++;
        counts[0] = 0;
        const starts = new Uint16Array(16);
        for (let i = 1; i < 15; i++) starts[i + 1] = starts[i] + counts[i];
        const symbols = new Uint16Array(lengths.length);
        lengths.forEach((of, symbol) => of && (symbols[starts[of]++] = symbol));
        return { counts, symbols };
    };

    const symbol = ({ counts, symbols }) => {
        let code = 0;
        let first = 0;
        let index = 0;
        for (let i = 1; ; i++) {
            code |= bits(1);
            if (code - counts[i] < first) return symbols[index + (code - first)];
            index += counts[i];
            first = (first + counts[i]) << 1;
            code <<= 1;
        }
    };

    const dynamic = () => {
        const literals = bits(5) + 257;
        const distances = bits(5) + 1;
        const given = bits(4) + 4;
        const orders = new Array(19).fill(0);
        for (let i = 0; i < given; i++) orders[LENGTHS_ORDER[i]] = bits(3);
        const of = codes(orders);
        const lengths = [];
        while (lengths.length < literals + distances) {
            const next = symbol(of);
            if (next < 16) lengths.push(next);
            else {
                const value = next === 16 ? lengths.at(-1) : 0;
                const times = next === 16 ? 3 + bits(2) : next === 17 ? 3 + bits(3) : 11 + bits(7);
                for (let i = 0; i < times; i++) lengths.push(value);
            }
        }
        return [codes(lengths.slice(0, literals)), codes(lengths.slice(literals))];
    };

    for (let last = 0; !last; ) {
        last = bits(1);
        const kind = bits(2);
        if (kind === 3) throw new Error('the embedded module is damaged');
        if (kind === 0) {
            // What is left of the byte is padding; fewer than eight bits are ever held.
            held = count = 0;
            const size = bytes[position] + 256 * bytes[position + 1];
            out.set(bytes.subarray(position + 4, position + 4 + size), at);
            position += 4 + size;
            at += size;
            continue;
        }
        const [literals, distances] = kind === 2 ? dynamic() : FIXED.map(codes);
        for (let next; (next = symbol(literals)) !== 256; ) {
            if (next < 256) {
                out[at++] = next;
                continue;
            }
            const [base, extra] = LENGTHS[next - 257];
            const end = at + base + bits(extra);
            const [far, more] = DISTANCES[symbol(distances)];
            const back = far + bits(more);
            for (; at < end; at++) out[at] = out[at - back];
        }
    }
    return out;
}

const LENGTHS_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** Base and extra bits of each symbol (section 3.2.5): every Nth symbol has one extra bit more. */
function table(first, size, each) {
    const rows = [];
    for (let i = 0, base = first; i < size; i++) {
        const extra = Math.max(0, Math.floor(i / each) - 1);
        rows.push([base, extra]);
        base += 1 << extra;
    }
    return rows;
}
/** Section 3.2.6. */
const FIXED = [
    [144, 112, 24, 8].flatMap((many, at) => Array(many).fill([8, 9, 7, 8][at])),
    Array(30).fill(5),
];
const LENGTHS = table(3, 28, 4).concat([[258, 0]]);
const DISTANCES = table(1, 30, 2);
