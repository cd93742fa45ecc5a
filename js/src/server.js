// The NTP server that Node asks, as people write it: host[:port].

/** A text that is no `host[:port]`. */
export class ServerError extends TypeError {
    constructor(text, reason) {
        super(
            `invalid NTP server ${JSON.stringify(text)}: ${reason}; write a host name or address, ` +
                'with :port if it is not 123',
        );
        this.name = 'ServerError';
    }
}

const HOST = /^(?:[\w-]{1,63}\.)*[\w-]{1,63}\.?$/;

/** Reads `host`, `host:port`, `[v6][:port]` or a bare IPv6 address. */
export function parseServer(text) {
    if (typeof text !== 'string') throw new ServerError(text, 'it is no text');
    if (text === '') throw new ServerError(text, 'it is empty');
    if (text.includes('://')) throw new ServerError(text, 'it is a URL');
    const bare = text.split(':').length > 2 && !text.startsWith('[');
    const [, v6, name, after] = bare
        ? [null, text, undefined, '']
        : (/^(?:\[([^\]]*)\]|([^:[\]]*))(.*)$/s.exec(text) ?? []);
    if (v6 !== undefined && !/^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(v6)) {
        throw new ServerError(text, 'what stands in its brackets is no IPv6 address');
    }
    if (v6 === undefined && !name) throw new ServerError(text, 'its host is empty');
    if (name && (name.length > 253 || !HOST.test(name))) {
        throw new ServerError(text, 'its host is no host name');
    }
    if (after && !/^:\d{1,5}$/.test(after)) {
        throw new ServerError(text, 'its port is not a number from 1 to 65535');
    }
    const port = after ? Number(after.slice(1)) : 123;
    if (port < 1 || port > 65535) {
        throw new ServerError(text, 'its port is not a number from 1 to 65535');
    }
    const host = v6 ?? name;
    const shown = port === 123 ? host : `${v6 === undefined ? host : `[${host}]`}:${port}`;
    return { host, port, shown };
}
