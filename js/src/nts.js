// Network Time Security, which JavaScript does not have: who requires it gets no time, rather than
// time that nobody has proved. Over TLS a relay or a trace proves itself; without TLS anybody on
// the way can change what it says, except to a loopback address, since that never leaves the
// machine.

/** Names the choice for a program's environment, as in Rust and Python. */
const VARIABLE = 'PORTACODE_NTP_NTS';
const WHERE_IT_IS =
    'Node and browsers have no NTS (Network Time Security), and plain NTP does not stand in for ' +
    "it; ask a relay whose server requires it, as by configure({ relay: 'wss://your.site/clock/' })";
// Addresses, not names: what `localhost` is, others may say.
const LOOPBACK = /^(127\.\d+\.\d+\.\d+|\[::1\])$/;

/** The choice is none, or one that cannot be followed here. */
export class NtsError extends TypeError {
    constructor(message) {
        super(message);
        this.name = 'NtsError';
    }

    static required(asked, remedy = WHERE_IT_IS) {
        return new NtsError(`${asked} cannot be followed: ${remedy}`);
    }
}

/** Throws unless plain NTP will do: by the option or, where there is none, by the environment. */
export function plainNtpWillDo(option, environment) {
    if (option !== undefined) check(option, "nts: 'required'");
    else checkEnvironment(environment);
}

/**
 * Throws unless time from this URL will do: never where the option requires NTS; where the
 * environment does, over TLS or from this machine.
 */
export function urlWillDo({ href, protocol, hostname }, option, environment) {
    if (option !== undefined) {
        check(option, "nts: 'required'");
    } else if (/^(ws|http):$/.test(protocol) && !LOOPBACK.test(hostname)) {
        const remedy = `anybody on the way can change what ${href} says; ask it over TLS, by `;
        checkEnvironment(environment, remedy + protocol.replace(':', 's:'));
    }
}

function checkEnvironment({ [VARIABLE]: choice }, remedy) {
    if (choice === undefined) return;
    check(choice, `${VARIABLE}=required`, remedy, `environment variable ${VARIABLE}: `);
}

function check(choice, asked, remedy, before = '') {
    // Without what editors, shells and .env files leave around it.
    const word = String(choice)
        .trim()
        .replace(/^(["'])(.*)\1$/s, '$2')
        .trim()
        .toLowerCase();
    if (word === 'off') return;
    if (word === 'required') throw NtsError.required(asked, remedy);
    throw new NtsError(`${before}NTS must be "off" or "required", not ${JSON.stringify(choice)}`);
}
