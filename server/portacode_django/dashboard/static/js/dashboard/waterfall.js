/** Timelines as a picture: large with all their errors, or as a strip in a list. */

import { element, svg } from './dom.js';
import { duration } from './format.js';
import { LANES, NAMES, SIGNS, VERDICTS, laneOf } from './timeline.js';

/** Narrower charts are scrolled; a phone's is not. */
const NARROWEST = 260;
const LEFT = 92;
const RIGHT = 16;
const LANE = 58;
const AXIS = 24;
const BAND = 34;
/** Where all of it together is shown against UTC. */
const UTC = 20;
const UTC_LABEL = 150;

/**
 * Draws into a figure's chart. A layer is `{line, names}`, a timeline and the entities of its lanes;
 * of one that is laid over the first, `place` is its first stamp against the first one's.
 */
export function draw(chart, layers) {
    const shown = layers.map((layer, index) => laidOut(layer, index));
    const top = layers[0].line.utcMs === null ? 0 : UTC;
    const height = top + layers.length * LANES.length * LANE + AXIS;
    const width = Math.max(chart.clientWidth, NARROWEST);
    const drawing = svg('svg', { width, height, 'aria-hidden': 'true' });
    const { x, ticks, last } = scale(shown, width);
    for (const ms of ticks) {
        const at = x(ms);
        drawing.append(
            svg('line', { class: 'tick', x1: at, x2: at, y1: top + 4, y2: height - AXIS }),
            svg('text', { x: at, y: height - 7, 'text-anchor': 'middle' }, duration(ms)),
        );
    }
    if (top > 0) drawing.append(againstUtc(layers[0].line.utcMs, x, last));
    const lanes = svg('g', { transform: `translate(0 ${top})` });
    for (const layer of shown) lanes.append(...drawn(layer, x, width));
    drawing.append(lanes);
    chart.replaceChildren(drawing, ...layers.map(({ line }) => described(line)));
}

/** A trace in a list, three lanes high. */
export function strip({ points, steps }) {
    const drawing = svg('svg', {
        class: 'strip',
        viewBox: '0 0 200 24',
        preserveAspectRatio: 'none',
        'aria-hidden': 'true',
    });
    const start = Math.min(...points.map(({ ms }) => ms), 0);
    const span = Math.max(...points.map(({ ms }) => ms - start), 1e-3);
    for (const { from, to, kind, verdict } of steps) {
        const [a, b] = [from.ms, to.ms].map((ms) => ((ms - start) / span) * 198 + 1);
        const lanes = [from, to].map(({ lane }) => LANES.indexOf(lane) * 8);
        const box = { x: Math.min(a, b), width: Math.max(Math.abs(b - a), 1) };
        const look = verdict === 'wrong' ? 'backwards' : kind;
        const place =
            kind === 'work'
                ? { y: lanes[0] + 1, height: 6 }
                : { y: Math.min(...lanes) + 7, height: 2 };
        const group = svg('g', { 'data-lane': from.lane });
        group.append(svg('rect', { class: look, ...box, ...place }));
        drawing.append(group);
    }
    return drawing;
}

/** A layer with its points moved to where they stand on the common axis, and its lanes' heights. */
function laidOut({ line, names, place = { ms: 0, max: 0 } }, index) {
    const { ms: by, max: more } = place;
    const moved = (point) => ({
        ...point,
        ms: point.ms + by,
        low: point.low + by - more,
        high: point.high + by + more,
    });
    const points = line.points.map(moved);
    const of = new Map(points.map((point) => [point.key, point]));
    const steps = line.steps.map((step) => ({
        ...step,
        from: of.get(step.from.key),
        to: of.get(step.to.key),
    }));
    const middle = (lane) => (index * LANES.length + LANES.indexOf(lane)) * LANE + LANE / 2;
    return { points, steps, absent: line.absent, names, middle, index };
}

function drawn({ points, steps, absent, names, middle, index }, x, width) {
    const all = [];
    if (index > 0) {
        const y = middle(LANES[0]) - LANE / 2;
        all.push(svg('line', { class: 'parting', x1: 0, x2: width, y1: y, y2: y }));
    }
    for (const [place, lane] of LANES.entries()) {
        const y = middle(lane);
        const group = svg('g', { 'data-lane': lane });
        group.append(
            svg('line', { class: 'lane-line', x1: LEFT, x2: width - RIGHT, y1: y, y2: y }),
            svg('text', { class: 'lane-name', x: 0, y: y - 2 }, lane),
            svg('text', { x: 0, y: y + 13 }, shortened(names[place])),
        );
        const missing = absent.filter((key) => laneOf(key) === lane).length;
        if (missing > 0) {
            const note = `${missing} cannot be placed`;
            group.append(svg('text', { class: 'absent', x: LEFT + 6, y: y - 14 }, note));
        }
        all.push(group);
    }
    for (const lane of LANES) all.push(bands(points, lane, middle(lane), x));
    for (const step of steps) all.push(between(step, middle, x));
    for (const point of points) all.push(mark(point, middle(point.lane), x));
    for (const step of steps) {
        const sign = verdict(step, middle, x);
        if (sign) all.push(sign);
    }
    return all;
}

function scale(layers, width) {
    const points = layers.flatMap((layer) => layer.points);
    const first = Math.min(...points.map(({ ms }) => ms), 0);
    const last = Math.max(...points.map(({ ms }) => ms), first + 1e-3);
    const length = last - first;
    // Bounds may be wider than all of the trace: then they are cut off, and the trace stays legible.
    const most = (sizes) => Math.min(Math.max(...sizes, 0), length * 0.2);
    const before = most(points.map(({ low }) => first - low));
    const after = most(points.map(({ high }) => high - last));
    const room = length * 0.015;
    const [start, end] = [first - before - room, last + after + room];
    const x = (ms) => {
        const share = (ms - start) / (end - start);
        return LEFT + Math.min(Math.max(share, 0), 1) * (width - LEFT - RIGHT);
    };
    return { x, ticks: niceTicks(first, last, (width - LEFT - RIGHT) / 110), last };
}

function niceTicks(first, last, most) {
    const rough = (last - first) / most;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
    const begin = Math.ceil(first / step);
    const count = Math.floor(last / step) - begin + 1;
    return Array.from({ length: Math.max(count, 0) }, (_, index) => (begin + index) * step);
}

/** Once for the whole picture: by how much all of it may be off; wider than it, and it is cut off. */
function againstUtc(ms, x, last) {
    const [start, end] = [x(last / 2 - ms), x(last / 2 + ms)];
    const y = UTC - 6;
    const bar = (x1, x2, half) => svg('line', { x1, x2, y1: y - half, y2: y + half });
    // Beside a bar that is too narrow for it.
    const beside = end - start < UTC_LABEL;
    const place = beside ? { x: end + 6 } : { x: (start + end) / 2, 'text-anchor': 'middle' };
    return svg(
        'g',
        { class: 'utc' },
        svg('text', { x: 0, y: y + 4 }, 'against UTC'),
        bar(start, end, 0),
        bar(start, start, 4),
        bar(end, end, 4),
        svg('text', { class: 'common-error', ...place, y: y + 4 }, `all of it ± ${duration(ms)}`),
    );
}

/** Where the stamps of a lane may be against the first; where two overlap, they are one band. */
function bands(points, lane, y, x) {
    const group = svg('g', { 'data-lane': lane });
    const mine = points.filter((point) => point.lane === lane);
    const sides = {
        band: ({ low, high }) => [low, high],
        sigma: ({ ms, est, low, high }) => [
            Math.max(ms - (est ?? 0), low),
            Math.min(ms + (est ?? 0), high),
        ],
    };
    for (const [look, of] of Object.entries(sides)) {
        const ranges = mine
            .filter((point) => point.high > point.low)
            .map((point) => of(point).map(x))
            .sort(([a], [b]) => a - b);
        for (const [start, end] of united(ranges)) {
            const box = { x: start, width: Math.max(end - start, 1) };
            group.append(svg('rect', { class: look, ...box, y: y - BAND / 2, height: BAND }));
        }
    }
    return group;
}

function united(ranges) {
    const all = [];
    for (const [start, end] of ranges) {
        const last = all.at(-1);
        if (last && start <= last[1]) last[1] = Math.max(last[1], end);
        else all.push([start, end]);
    }
    return all;
}

function between(step, middle, x) {
    const { from, to, kind, verdict } = step;
    const [a, b] = [x(from.ms), x(to.ms)];
    const group = svg('g', { 'data-lane': from.lane });
    const [y1, y2] = [middle(from.lane), middle(to.lane)];
    if (verdict === 'wrong') {
        group.append(svg('line', { class: 'backwards', x1: a, x2: b, y1, y2 }));
    } else if (kind === 'work') {
        const box = { x: a, width: Math.max(b - a, 1), y: y1 - 5, height: 10 };
        group.append(svg('rect', { class: 'work', ...box }));
    } else {
        group.append(svg('line', { class: 'way', x1: a, x2: b, y1, y2 }));
    }
    group.append(svg('title', {}, said(step)));
    return group;
}

function mark({ key, lane, ms }, y, x) {
    const at = x(ms);
    const group = svg('g', { 'data-lane': lane });
    group.append(
        svg('line', { class: 'stamp', x1: at, x2: at, y1: y - 12, y2: y + 12 }),
        svg('title', {}, `${NAMES[key]}: ${duration(ms)}`),
    );
    return group;
}

function verdict({ from, to, verdict: found }, middle, x) {
    if (!SIGNS[found]) return null;
    const at = (x(from.ms) + x(to.ms)) / 2;
    const y = (middle(from.lane) + middle(to.lane)) / 2 + (from.lane === to.lane ? -16 : 4);
    return svg('text', { x: at, y, 'text-anchor': 'middle', class: found }, SIGNS[found]);
}

/** A step in words. */
function said({ from, to, ms, max, verdict: found }) {
    const error = max === null || max === 0 ? '' : ` ± ${duration(max)}`;
    return `${NAMES[from.key]} → ${NAMES[to.key]}: ${duration(ms)}${error}, ${VERDICTS[found]}`;
}

/** What the picture shows, for those who do not see it. */
function described({ steps, absent, utcMs }) {
    const sentences = steps.map((step) => `${said(step)}.`);
    if (absent.length > 0)
        sentences.push(`Cannot be placed: ${absent.map((key) => NAMES[key]).join(', ')}.`);
    if (utcMs !== null) sentences.push(`All of it is right to ± ${duration(utcMs)} against UTC.`);
    return element('p', { class: 'unseen' }, sentences.join(' '));
}

function shortened(name) {
    return name && name.length > 14 ? `${name.slice(0, 13)}…` : (name ?? '');
}
