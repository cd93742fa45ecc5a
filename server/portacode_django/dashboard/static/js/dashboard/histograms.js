/** How long each way takes, one way, over the traces at hand. */

import { byId, element, svg } from './dom.js';
import { duration, plural } from './format.js';
import { relationOf, traceOf } from './timeline.js';

const WAYS = [
    ['client_send', 'server_receive', 'Browser → server'],
    ['server_receive', 'server_send', 'Server passes on'],
    ['server_send', 'device_receive', 'Server → device'],
    ['device_receive', 'handler_dispatch', 'Device, until it starts'],
    ['handler_dispatch', 'handler_complete', 'Handler at work'],
    ['device_send', 'server_receive_response', 'Device → server'],
    ['server_receive_response', 'server_send_response', 'Server passes back'],
    ['server_send_response', 'client_receive', 'Server → browser'],
];
const BARS = 28;
const WIDTH = 280;
const HEIGHT = 56;

export function drawAll(records) {
    const traces = records.map(traceOf);
    const cells = WAYS.map(([from, to, name]) => [name, samples(traces, from, to)])
        .filter(([, found]) => found.length > 0)
        .map(([name, found]) => cell(name, found));
    byId('histograms').replaceChildren(...cells);
    const empty = byId('histograms-empty');
    empty.hidden = cells.length > 0;
    empty.textContent =
        'Nothing to measure yet: it takes a trace whose clocks had time, or were linked, at both ends.';
}

function samples(traces, from, to) {
    return traces.flatMap((trace) => {
        if (trace.get(from) === null || trace.get(to) === null) return [];
        const { ms, max } = relationOf(trace, from, to);
        return ms === null || max === null ? [] : [{ ms, width: 2 * max }];
    });
}

function cell(name, found) {
    const sorted = found.map(({ ms }) => ms).sort((a, b) => a - b);
    const at = (share) => sorted[Math.min(Math.floor(share * sorted.length), sorted.length - 1)];
    const [median, p95] = [at(0.5), at(0.95)];
    const width = found.map((sample) => sample.width).sort((a, b) => a - b)[found.length >> 1];
    // The slowest few would press all others into one bar: they are in the last one.
    const low = Math.min(sorted[0], 0);
    const high = Math.max(at(0.98), low + 1e-3);
    const counts = new Array(BARS).fill(0);
    for (const ms of sorted) {
        const bar = Math.floor(((ms - low) / (high - low)) * BARS);
        counts[Math.min(Math.max(bar, 0), BARS - 1)] += 1;
    }
    const known = `each known to within ${duration(width)}`;
    const words = `median ${duration(median)}, ${known}; 95 % within ${duration(p95)}`;
    return element(
        'li',
        {},
        element('h3', {}, name),
        picture(counts, { low, high, median, width }, `${name}: ${words}`),
        element('p', {}, `${words} · ${plural(sorted.length, 'trace')}`),
    );
}

function picture(counts, { low, high, median, width: known }, label) {
    const drawing = svg('svg', {
        viewBox: `0 0 ${WIDTH} ${HEIGHT + 16}`,
        role: 'img',
        'aria-label': label,
    });
    const most = Math.max(...counts);
    const width = WIDTH / BARS;
    for (const [index, count] of counts.entries()) {
        if (count === 0) continue;
        const height = Math.max((count / most) * HEIGHT, 1.5);
        const box = { x: index * width + 0.5, width: width - 1, y: HEIGHT - height, height };
        drawing.append(svg('rect', { class: 'bar', ...box }));
    }
    const x = (ms) => Math.min(Math.max((ms - low) / (high - low), 0), 1) * WIDTH;
    const [start, end] = [x(median - known / 2), x(median + known / 2)];
    const band = { x: start, width: Math.max(end - start, 1), y: 0, height: HEIGHT };
    drawing.append(
        svg('rect', { class: 'known', ...band }),
        svg('line', { class: 'median', x1: x(median), x2: x(median), y1: 0, y2: HEIGHT }),
        svg('line', { class: 'axis', x1: 0, x2: WIDTH, y1: HEIGHT + 0.5, y2: HEIGHT + 0.5 }),
        svg('text', { x: 0, y: HEIGHT + 13 }, duration(low)),
        svg('text', { x: WIDTH, y: HEIGHT + 13, 'text-anchor': 'end' }, duration(high)),
    );
    return drawing;
}
