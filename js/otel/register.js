// For `node --import @portacode/ntp-clock/otel/register`: without a line of code.

import { install } from './otel.js';

install();
