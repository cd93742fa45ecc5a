// In Node: node now.mjs NTP_SERVER

import { fileURLToPath } from 'node:url';
import { measure } from './measure.mjs';

process.env.PORTACODE_NTP_SERVER = process.argv[2];
const path = fileURLToPath(
    new URL('../../portacode/static/js/utils/ntp-clock.js', import.meta.url),
);
const { default: clock } = await import(path);
if (!(await clock.waitSynced({ timeout: 5000 }))) throw new Error(clock.getStatus().lastError);
console.log(JSON.stringify(measure(clock)));
