// Network Time Security, which JavaScript does not have: who requires it gets no time, rather than
// time that nobody has proved.

/** Names the choice for a program's environment, as in Rust and Python. */
const VARIABLE = 'PORTACODE_NTP_NTS';
const WHERE_IT_IS =
    'Node and browsers have no NTS (Network Time Security), and plain NTP does not stand in for ' +
    "it; ask a relay whose server requires it, as by configure({ relay: 'wss://your.site/clock/' })";

/** The choice is none, or one that cannot be followed here. */
export class NtsError extends TypeError {
    constructor(message) {
        super(message);
        this.name = 'NtsError';
    }

    static required(asked) {
        return new NtsError(`${asked} cannot be followed: ${WHERE_IT_IS}`);
    }
}

/** Throws unless plain NTP will do: by the option or, where there is none, by the environment. */
export function plainNtpWillDo(option, environment) {
    if (option !== undefined) {
        check(option, "nts: 'required'");
    } else if (environment[VARIABLE] !== undefined) {
        check(environment[VARIABLE], `${VARIABLE}=required`, `environment variable ${VARIABLE}: `);
    }
}

function check(choice, asked, before = '') {
    // Without what editors, shells and .env files leave around it.
    const word = String(choice)
        .trim()
        .replace(/^(["'])(.*)\1$/s, '$2')
        .trim()
        .toLowerCase();
    if (word === 'off') return;
    if (word === 'required') throw NtsError.required(asked);
    throw new NtsError(`${before}NTS is "off" or "required", not ${JSON.stringify(choice)}`);
}
