/** A timeline as a picture: large with all its errors, or as a strip in a list. */

import { element, svg } from './dom.js';
import { duration } from './format.js';
import { LANES, NAMES, laneOf } from './timeline.js';

/** Narrower charts are scrolled; a phone's is not. */
const NARROWEST = 260;
const LEFT = 92;
const RIGHT = 16;
const LANE = 58;
const AXIS = 24;
const BAND = 34;

/** Draws into a figure's chart; `names` are the entities of the lanes. */
export function draw(chart, line, names) {
    const height = LANES.length * LANE + AXIS;
    const width = Math.max(chart.clientWidth, NARROWEST);
    const drawing = svg('svg', { width, height, 'aria-hidden': 'true' });
    const { x, ticks } = scale(line, width);
    for (const ms of ticks) {
        const at = x(ms);
        drawing.append(
            svg('line', { class: 'tick', x1: at, x2: at, y1: 4, y2: height - AXIS }),
            svg('text', { x: at, y: height - 7, 'text-anchor': 'middle' }, duration(ms)),
        );
    }
    for (const [index, lane] of LANES.entries()) {
        const y = middle(lane);
        const group = svg('g', { 'data-lane': lane });
        group.append(
            svg('line', { class: 'lane-line', x1: LEFT, x2: width - RIGHT, y1: y, y2: y }),
            svg('text', { class: 'lane-name', x: 0, y: y - 2 }, lane),
            svg('text', { x: 0, y: y + 13 }, shortened(names[index])),
        );
        const missing = line.absent.filter((key) => laneOf(key) === lane).length;
        if (missing > 0) {
            const told = `${missing} without time`;
            group.append(svg('text', { class: 'absent', x: LEFT + 6, y: y - 14 }, told));
        }
        drawing.append(group);
    }
    for (const lane of LANES) drawing.append(bands(line.points, lane, x));
    for (const step of line.steps) drawing.append(between(step, x));
    for (const point of line.points) drawing.append(mark(point, x));
    for (const step of line.steps) {
        const sign = verdict(step, x);
        if (sign) drawing.append(sign);
    }
    chart.replaceChildren(drawing, described(line));
}

/** A trace in a list, three lanes high. */
export function strip(line) {
    const drawing = svg('svg', {
        class: 'strip',
        viewBox: '0 0 200 24',
        preserveAspectRatio: 'none',
        'aria-hidden': 'true',
    });
    const span = Math.max(...line.points.map(({ ms }) => ms), 1e-3);
    for (const { from, to, kind, order } of line.steps) {
        const [a, b] = [from.ms, to.ms].map((ms) => (ms / span) * 198 + 1);
        const lanes = [from, to].map(({ lane }) => LANES.indexOf(lane) * 8);
        const box = { x: Math.min(a, b), width: Math.max(Math.abs(b - a), 1) };
        const look = order === 'wrong' ? 'backwards' : kind;
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

function scale({ points }, width) {
    const last = Math.max(...points.map(({ ms }) => ms), 1e-3);
    // Bounds may be wider than all of the trace: then they are cut off, and the trace stays legible.
    const before = Math.min(Math.max(...points.map(({ ms, max }) => max - ms), 0), last * 0.2);
    const after = Math.min(
        Math.max(...points.map(({ ms, max }) => ms + max - last), 0),
        last * 0.2,
    );
    const room = last * 0.015;
    const [start, end] = [-before - room, last + after + room];
    const x = (ms) => {
        const share = (ms - start) / (end - start);
        return LEFT + Math.min(Math.max(share, 0), 1) * (width - LEFT - RIGHT);
    };
    return { x, ticks: niceTicks(last, (width - LEFT - RIGHT) / 110) };
}

function niceTicks(last, most) {
    const rough = last / most;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
    return Array.from({ length: Math.floor(last / step) + 1 }, (_, index) => index * step);
}

/** Where the stamps of a lane may be; where two overlap, they are one band. */
function bands(points, lane, x) {
    const group = svg('g', { 'data-lane': lane });
    const mine = points.filter((point) => point.lane === lane);
    for (const name of ['max', 'est']) {
        const ranges = mine
            .filter((point) => point[name] > 0)
            .map((point) => [x(point.ms - point[name]), x(point.ms + point[name])])
            .sort(([a], [b]) => a - b);
        for (const [start, end] of united(ranges)) {
            const box = { x: start, width: Math.max(end - start, 1) };
            const place = { y: middle(lane) - BAND / 2, height: BAND };
            group.append(
                svg('rect', { class: name === 'max' ? 'band' : 'sigma', ...box, ...place }),
            );
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

function between({ from, to, kind, order }, x) {
    const [a, b] = [x(from.ms), x(to.ms)];
    const group = svg('g', { 'data-lane': from.lane });
    const [y1, y2] = [middle(from.lane), middle(to.lane)];
    if (order === 'wrong') {
        group.append(svg('line', { class: 'backwards', x1: a, x2: b, y1, y2 }));
    } else if (kind === 'work') {
        const box = { x: a, width: Math.max(b - a, 1), y: y1 - 5, height: 10 };
        group.append(svg('rect', { class: 'work', ...box }));
    } else {
        group.append(svg('line', { class: 'way', x1: a, x2: b, y1, y2 }));
    }
    group.append(
        svg('title', {}, `${NAMES[from.key]} → ${NAMES[to.key]}: ${duration(to.ms - from.ms)}`),
    );
    return group;
}

function mark({ key, lane, ms }, x) {
    const y = middle(lane);
    const at = x(ms);
    const group = svg('g', { 'data-lane': lane });
    group.append(
        svg('line', { class: 'stamp', x1: at, x2: at, y1: y - 12, y2: y + 12 }),
        svg('title', {}, `${NAMES[key]}: ${duration(ms)}`),
    );
    return group;
}

function verdict({ from, to, order }, x) {
    if (order === 'sure') return null;
    const at = (x(from.ms) + x(to.ms)) / 2;
    const y = (middle(from.lane) + middle(to.lane)) / 2 + (from.lane === to.lane ? -16 : 4);
    const place = { x: at, y, 'text-anchor': 'middle', class: order };
    return svg('text', place, order === 'wrong' ? '✗' : '≈');
}

/** What the picture shows, for those who do not see it. */
function described({ steps, absent }) {
    const words = { sure: '', unsure: ', order undecidable', wrong: ', runs backwards' };
    const told = steps.map(({ from, to, order }) => {
        const lasts = duration(to.ms - from.ms);
        return `${NAMES[from.key]} to ${NAMES[to.key]}: ${lasts}${words[order]}.`;
    });
    if (absent.length > 0)
        told.push(`Without time: ${absent.map((key) => NAMES[key]).join(', ')}.`);
    return element('p', { class: 'unseen' }, told.join(' '));
}

function middle(lane) {
    return LANES.indexOf(lane) * LANE + LANE / 2;
}

function shortened(name) {
    return name && name.length > 14 ? `${name.slice(0, 13)}…` : (name ?? '');
}
