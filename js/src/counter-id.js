// Names of counters: moments of counters of one name can be compared.

import { steeringPpm } from './environment.js';

/** A name that no other counter has. */
export function counterId() {
    const bytes = crypto.getRandomValues(new Uint8Array(8));
    return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The same for performance.now(), with how far the system may steer it. */
export function steeredId() {
    return `${counterId()}~${steeringPpm()}`;
}
