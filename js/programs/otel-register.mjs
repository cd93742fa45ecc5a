// The built module installed as `@portacode/ntp-clock/otel/register` does.

import { install } from '../../portacode/static/js/utils/otel.js';

install(JSON.parse(process.env.OTEL_OPTIONS ?? '{}'));
