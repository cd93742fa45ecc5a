// The shop: takes an order and asks the stock for it.
'use strict';

const http = require('node:http');
const { trace } = require('@opentelemetry/api');

const tracer = trace.getTracer('shop');
// What no wrong system clock touches: only the demo looks at it, to know the truth.
const now = () => process.hrtime.bigint().toString();

const ask = (url) =>
    new Promise((resolve, reject) => {
        http.get(url, (response) => {
            response.resume();
            response.on('end', () => resolve(response.statusCode));
        }).on('error', reject);
    });

const order = async () => {
    const before = now();
    return tracer.startActiveSpan('take order', async (span) => {
        span.setAttributes({ 'truth.before_ns': before, 'truth.after_ns': now() });
        try {
            return await ask(process.env.STOCK_URL);
        } finally {
            span.end();
        }
    });
};

const server = http.createServer(async (request, response) => {
    response.statusCode = request.url === '/order' ? await order().catch(() => 502) : 404;
    response.end();
});
server.listen(0, '127.0.0.1', () => console.log(`listening on ${server.address().port}`));
