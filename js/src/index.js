// One module, one clock: code that imports it, from wherever, gets the same.

import { NTPClock } from './clock.js';

export { NTPClock };
export { ManualClock } from './manual.js';

const KEY = Symbol.for('portacode.ntp-clock');

const ntpClock = (globalThis[KEY] ??= new NTPClock());
export { ntpClock };
export default ntpClock;
