// The offset over time with its probable error, and below it the hard bound, on a scale of its own.

import { GAP_MS, boundLimit, limits, nice, runs } from './scale.js';
import { signed, span } from './words.js';

const WINDOW_MS = 300_000;
const SHORTEST_MS = 30_000;
/** Room for a label of the time axis, and the steps between them. */
const LABEL_WIDTH = 90;
const EVERY_MS = [10_000, 20_000, 30_000, 60_000, 120_000, 300_000];
/** The hard bound's panel, and what lies between it and the offset's. */
const BOUND_HEIGHT = 44;
const BETWEEN = 14;
const MARGIN = { left: 72, right: 14, top: 10, bottom: 24 };

export class Plot {
    #canvas;
    #samples = [];
    #syncs = [];

    constructor(canvas) {
        this.#canvas = canvas;
        new ResizeObserver(() => this.draw()).observe(canvas);
        matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
    }

    /** `{at, offset, maxErrorMs, estErrorMs, epoch}`, once a second. */
    add(sample) {
        this.#samples.push(sample);
        this.#forget(sample.at);
    }

    /** A reply was believed at this moment. */
    mark(at) {
        this.#syncs.push(at);
    }

    #forget(now) {
        const old = now - WINDOW_MS - 10_000;
        while (this.#samples[0]?.at < old) this.#samples.shift();
        while (this.#syncs[0] < old) this.#syncs.shift();
    }

    draw() {
        const canvas = this.#canvas;
        const { clientWidth: width, clientHeight: height } = canvas;
        if (width === 0 || height === 0) return;
        const scale = devicePixelRatio || 1;
        canvas.width = Math.round(width * scale);
        canvas.height = Math.round(height * scale);
        const pen = canvas.getContext('2d');
        pen.scale(scale, scale);
        const style = getComputedStyle(canvas);
        const colour = (name) => style.getPropertyValue(`--${name}`).trim();
        const now = performance.now();
        const samples = this.#samples;
        canvas.dataset.samples = samples.length;
        const frame = {
            left: MARGIN.left,
            right: width - MARGIN.right,
            top: MARGIN.top,
            bottom: height - MARGIN.bottom - BOUND_HEIGHT - BETWEEN,
        };
        const below = { ...frame, top: frame.bottom + BETWEEN, bottom: height - MARGIN.bottom };
        const since = now - (samples[0]?.at ?? now);
        const shown = Math.min(WINDOW_MS, Math.max(SHORTEST_MS, since * 1.02));
        const [low, high] = limits(samples);
        const x = (at) => frame.right - ((now - at) / shown) * (frame.right - frame.left);
        const y = (offset) =>
            frame.bottom - ((offset - low) / (high - low)) * (frame.bottom - frame.top);

        pen.font = `12px ${style.fontFamily}`;
        this.#times(pen, below, { shown, x, now, colour });
        if (samples.length === 0) {
            pen.fillStyle = colour('quiet');
            pen.textAlign = 'center';
            pen.textBaseline = 'middle';
            pen.fillText('No readings yet', width / 2, (frame.top + below.bottom) / 2);
            canvas.setAttribute('aria-label', 'No readings yet');
            return;
        }
        this.#offsets(pen, frame, { low, high, y, colour });
        this.#bounds(pen, below, { x, now, colour });

        pen.save();
        clip(pen, frame);
        for (const run of runs(samples)) {
            pen.fillStyle = pen.strokeStyle = colour('accent');
            pen.globalAlpha = 0.32;
            area(
                pen,
                run,
                x,
                ({ offset, estErrorMs }) => y(offset + estErrorMs),
                ({ offset, estErrorMs }) => y(offset - estErrorMs),
            );
            pen.globalAlpha = 1;
            pen.lineWidth = 1.75;
            pen.lineJoin = 'round';
            pen.beginPath();
            for (const { at, offset } of run) pen.lineTo(x(at), y(offset));
            pen.stroke();
        }
        this.#epochs(pen, frame, x, colour);
        pen.restore();
        this.#marks(pen, frame, x, y, colour);
        const last = samples.at(-1);
        canvas.setAttribute(
            'aria-label',
            `Offset over the last ${Math.round(since / 1000)} seconds; now ${signed(last.offset)}, ` +
                `hard bound ${span(last.maxErrorMs)}, one sigma ${span(last.estErrorMs)}`,
        );
    }

    #offsets(pen, frame, { low, high, y, colour }) {
        pen.lineWidth = 1;
        pen.textBaseline = 'middle';
        pen.textAlign = 'right';
        const step = nice((high - low) / Math.max(2, (frame.bottom - frame.top) / 44));
        const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
        for (let i = Math.ceil(low / step); i * step <= high; i++) {
            const at = Math.round(y(i * step)) + 0.5;
            pen.strokeStyle = colour(i === 0 ? 'faint' : 'rule');
            line(pen, frame.left, at, frame.right, at);
            const sign = i === 0 ? '' : i < 0 ? '\u2212' : '+';
            pen.fillStyle = colour('quiet');
            pen.fillText(
                `${sign}${Math.abs(i * step).toFixed(i === 0 ? 0 : decimals)} ms`,
                frame.left - 8,
                at,
            );
        }
    }

    /** From nothing up to the bound, which has two sides alike. */
    #bounds(pen, frame, { x, now, colour }) {
        const most = boundLimit(this.#samples, now);
        const y = (ms) => frame.bottom - (ms / most) * (frame.bottom - frame.top);
        const last = this.#samples.at(-1);
        pen.fillStyle = colour('quiet');
        pen.textBaseline = 'middle';
        pen.textAlign = 'right';
        // Where the newest stands, but not on the axis.
        const at = Math.min(y(last.maxErrorMs), frame.bottom - 8);
        pen.fillText(`\u00b1 ${span(last.maxErrorMs)}`, frame.left - 8, at);
        pen.save();
        clip(pen, frame);
        pen.fillStyle = pen.strokeStyle = colour('accent');
        for (const run of runs(this.#samples)) {
            const top = ({ maxErrorMs }) => y(maxErrorMs);
            pen.globalAlpha = 0.13;
            area(pen, run, x, top, () => frame.bottom);
            pen.globalAlpha = 0.5;
            pen.lineWidth = 1;
            pen.beginPath();
            for (const sample of run) pen.lineTo(x(sample.at), top(sample));
            pen.stroke();
        }
        pen.restore();
    }

    #times(pen, frame, { shown, x, now, colour }) {
        pen.lineWidth = 1;
        pen.strokeStyle = colour('rule');
        line(pen, frame.left, frame.bottom + 0.5, frame.right, frame.bottom + 0.5);
        pen.fillStyle = colour('quiet');
        pen.textBaseline = 'alphabetic';
        const room = Math.max(1, Math.floor((frame.right - frame.left) / LABEL_WIDTH));
        const every = EVERY_MS.find((step) => shown / step <= room) ?? shown;
        for (let ago = 0; ago <= shown; ago += every) {
            const text =
                ago === 0
                    ? 'now'
                    : ago % 60_000
                      ? `${ago / 1000} s ago`
                      : `${ago / 60_000} min ago`;
            const half = pen.measureText(text).width / 2;
            const at = Math.min(x(now - ago), frame.right - half);
            pen.textAlign = 'center';
            if (at - half >= 0) pen.fillText(text, at, frame.bottom + 18);
        }
    }

    /** A ring on the line for each believed reply. */
    #marks(pen, frame, x, y, colour) {
        pen.fillStyle = colour('sheet');
        pen.strokeStyle = colour('accent');
        pen.lineWidth = 2;
        for (const moment of this.#syncs) {
            const sample = this.#samples.find(({ at }) => at >= moment - 200);
            if (!sample || sample.at - moment > GAP_MS || x(sample.at) < MARGIN.left) continue;
            const level = y(sample.offset);
            // Of an earlier epoch, hours away.
            if (level < frame.top || level > frame.bottom) continue;
            pen.beginPath();
            pen.arc(x(sample.at), level, 3.25, 0, 2 * Math.PI);
            pen.fill();
            pen.stroke();
        }
    }

    #epochs(pen, frame, x, colour) {
        pen.fillStyle = pen.strokeStyle = colour('wait');
        pen.textAlign = 'left';
        pen.textBaseline = 'top';
        pen.lineWidth = 1;
        this.#samples.forEach(({ at, epoch }, i) => {
            if (i === 0 || epoch === this.#samples[i - 1].epoch) return;
            pen.setLineDash([3, 3]);
            line(pen, x(at), frame.top, x(at), frame.bottom);
            pen.setLineDash([]);
            pen.fillText(`epoch ${epoch}`, x(at) + 5, frame.top + 2);
        });
    }
}

function line(pen, x1, y1, x2, y2) {
    pen.beginPath();
    pen.moveTo(x1, y1);
    pen.lineTo(x2, y2);
    pen.stroke();
}

/** What lies between two lines over a run. */
function area(pen, run, x, upper, lower) {
    pen.beginPath();
    for (const sample of run) pen.lineTo(x(sample.at), upper(sample));
    for (const sample of run.toReversed()) pen.lineTo(x(sample.at), lower(sample));
    pen.closePath();
    pen.fill();
}

function clip(pen, { left, right, top, bottom }) {
    pen.beginPath();
    pen.rect(left, top, right - left, bottom - top);
    pen.clip();
}
