// The NTP server that Node asks, as people write it: host[:port]; and which addresses are none.

/** A text that names no server. */
export class ServerError extends TypeError {
    constructor(text, reason) {
        super(
            `invalid NTP server ${JSON.stringify(text)}: ${reason}; write a host name or address, ` +
                'with :port if it is not 123',
        );
        this.name = 'ServerError';
    }
}

/** What is wrong with a text. */
class Malformed extends Error {}

const DEFAULT = 'time.cloudflare.com';
const PORT = 'its port is not a number from 1 to 65535';

/**
 * Reads `host`, `host:port`, `[v6][:port]` or a bare IPv6 address, whose link-local ones have
 * their interface behind a %. Blanks and one pair of quotation marks around it are left out.
 */
export function parseServer(text = DEFAULT) {
    if (typeof text !== 'string') throw new ServerError(text, 'it is not text');
    try {
        return read(unwrapped(text));
    } catch (error) {
        throw error instanceof Malformed ? new ServerError(text, error.message) : error;
    }
}

function read(text) {
    if (text === '') throw new Malformed('it is empty');
    if (text.includes('://')) throw new Malformed('it is a URL');
    if (/[,;]/.test(text)) throw new Malformed('it names more than one server');
    const [v6, after] = splitV6(text);
    if (v6 === null) {
        const [, name, end] = /^([^:]*)(.*)$/s.exec(text);
        const host = checkedHost(name.toLowerCase());
        return server(host, portOf(end), host);
    }
    const [address, zone] = v6.split(/%(.*)/s);
    const host = checkedV6(address.toLowerCase(), zone);
    return server(host, portOf(after), `[${host}]`);
}

function server(host, port, bracketed) {
    const why = unusable(host, false);
    if (why) throw new Malformed(`its host is ${why}`);
    const isDefault = host.replace(/\.$/, '') === DEFAULT;
    return { host, port, shown: port === 123 ? host : `${bracketed}:${port}`, isDefault };
}

/** Without what editors, shells and .env files leave around it. */
function unwrapped(text) {
    const bare = trimmed(text);
    const [first, last] = [bare[0], bare.at(-1)];
    const quoted = bare.length > 1 && first === last && /["']/.test(first);
    const inner = quoted ? trimmed(bare.slice(1, -1)) : bare;
    if (/^["']|["']$/.test(inner)) throw new Malformed('it has a quotation mark at one end');
    return inner;
}

const trimmed = (text) => text.replace(/^[ \t\r\n\f]+|[ \t\r\n\f]+$/g, '');

/** The IPv6 address and what follows it, null where there is none. */
function splitV6(text) {
    if (!text.startsWith('[')) {
        return isV6(text.split('%')[0]) ? [text, ''] : [null];
    }
    const end = text.indexOf(']');
    if (end < 0) throw new Malformed('the bracket of its IPv6 address is not closed');
    const [inner, after] = [text.slice(1, end), text.slice(end + 1)];
    if (!isV6(inner.split('%')[0]))
        throw new Malformed('the text in its brackets is not an IPv6 address');
    if (after && after[0] !== ':') throw new Malformed('only :port may follow the closing bracket');
    return [inner, after];
}

function checkedV6(address, zone) {
    const linkLocal = /^fe[89ab]/.test(address);
    const multicast = /^ff/.test(address);
    if (zone === undefined) {
        if (linkLocal) {
            throw new Malformed('its link-local address needs the interface, as in fe80::1%eth0');
        }
        return address;
    }
    if (multicast) return address;
    if (!linkLocal)
        throw new Malformed('only a link-local address (fe80::) has an interface behind a %');
    if (!/^[^%/\s]{1,15}$/.test(zone))
        throw new Malformed('the text after the % is not the name of an interface');
    return `${address}%${zone}`;
}

function checkedHost(name) {
    if (name === '') throw new Malformed('its host is empty');
    if (!/^[\w.-]+$/.test(name)) {
        throw new Malformed(
            "its host has a character other than letters, digits, '.', '-' and '_'",
        );
    }
    const labels = name.replace(/\.$/, '').split('.');
    if (name.length > 253 || labels.some((label) => label.length > 63)) {
        throw new Malformed('its host is longer than 253 characters or has a label longer than 63');
    }
    if (labels.includes('')) throw new Malformed('its host is empty');
    // Resolvers read such as addresses, each in its own way.
    if (!/^(0x[0-9a-f]*|\d+)$/.test(labels.at(-1))) return name;
    const octet = /^(0|[1-9]\d{0,2})$/;
    if (labels.length !== 4 || labels.some((label) => !octet.test(label) || label > 255)) {
        throw new Malformed('its host ends in a number but is not an IPv4 address');
    }
    return labels.join('.');
}

function portOf(after) {
    if (!after) return 123;
    const port = /^:\d+$/.test(after) ? Number(after.slice(1)) : 0;
    if (port < 1 || port > 65535) throw new Malformed(PORT);
    return port;
}

/** Why nobody asks at this address, in words; null where one may. */
export function unusable(address, isDefault) {
    const v4 = /^[\d.]+$/.test(address) ? address.split('.').map(Number) : mappedV4(address);
    const v6 = v4 ? '' : canonicalV6(address);
    const [a] = v4 ?? [];
    if (a === 0 || v6 === '::') return 'the unspecified address';
    if (v4?.every((octet) => octet === 255)) return 'the broadcast address';
    if ((a >= 224 && a < 240) || /^ff/.test(v6)) return 'a multicast address';
    return isDefault && (a === 127 || v6 === '::1') ? 'this machine' : null;
}

/** The four octets in an IPv6 address that stands for one of IPv4. */
function mappedV4(address) {
    const [, high, low] = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(canonicalV6(address)) ?? [];
    if (!high) return null;
    return [high, low].flatMap((part) => [parseInt(part, 16) >> 8, parseInt(part, 16) & 255]);
}

/** The shortest form; empty where it is no IPv6 address. */
function canonicalV6(address) {
    const bare = address.split('%')[0];
    if (!/^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(bare)) return '';
    try {
        return new URL(`http://[${bare}]`).hostname.slice(1, -1);
    } catch {
        return '';
    }
}

const isV6 = (text) => canonicalV6(text) !== '';
