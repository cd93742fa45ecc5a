//! A run drawn as SVG, written by hand: two polylines and four bands need no plotting library.

use std::fmt::Write;

use crate::duration::SECOND_NS;
use crate::outcome::TracePoint;
use crate::table::duration;
use crate::world::Setup;

/// Error and hard bound over time, and below, on a scale of its own, error and `est_error`.
#[must_use]
pub fn svg(setup: &Setup, trace: &[TracePoint]) -> String {
    let mut svg = String::new();
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"18\" font-size=\"15\">{}, seed {}: reading less truth</text>\n",
        setup.family, setup.seed
    );
    let hard = |error: &Errors| error.1;
    let probable = |error: &Errors| error.2;
    panel(&mut svg, setup, trace, ("± max_error", "#cfe3f7", 30.0), hard);
    panel(&mut svg, setup, trace, ("± est_error", "#d8f0d0", 30.0 + PANEL + 50.0), probable);
    svg.push_str("</svg>\n");
    svg
}

/// Error, hard bound, standard deviation, nanoseconds.
type Errors = (f64, f64, f64);

fn panel(
    svg: &mut String,
    setup: &Setup,
    trace: &[TracePoint],
    (label, colour, top): (&str, &str, f64),
    band: impl Fn(&Errors) -> f64,
) {
    let points = thinned(trace, setup.duration_ns);
    let mut sizes: Vec<f64> =
        points.iter().filter_map(|(_, e)| e.as_ref()).map(|e| e.0.abs().max(band(e))).collect();
    sizes.sort_by(f64::total_cmp);
    // The first minutes would flatten all the rest.
    let shown = sizes.len().saturating_sub(1 + sizes.len() / 100);
    let limit = sizes.get(shown).copied().unwrap_or(1.0).max(1.0) * 1.1;
    let end_s = setup.duration_ns as f64 / SECOND_NS as f64;
    let x = |t_s: f64| LEFT + t_s / end_s * (WIDTH - LEFT - 20.0);
    let middle = top + PANEL / 2.0;
    let y = |ns: f64| middle - (ns / limit).clamp(-1.0, 1.0) * PANEL / 2.0;

    for stretch in points.split(|(_, errors)| errors.is_none()) {
        let known: Vec<_> = stretch.iter().filter_map(|(t, e)| Some((*t, (*e)?))).collect();
        if known.is_empty() {
            continue;
        }
        let above = known.iter().map(|(t, e)| (x(*t), y(band(e))));
        let below = known.iter().rev().map(|(t, e)| (x(*t), y(-band(e))));
        let outline = join(above.chain(below));
        let line = join(known.iter().map(|(t, e)| (x(*t), y(e.0))));
        let _ = write!(
            svg,
            "<polygon points=\"{outline}\" fill=\"{colour}\"/>\n\
             <polyline points=\"{line}\" fill=\"none\" stroke=\"#b3261e\" stroke-width=\"1\"/>\n"
        );
    }
    for (share, anchor) in [(1.0, top), (0.0, middle), (-1.0, top + PANEL)] {
        let value = if share == 0.0 { "0".to_owned() } else { duration(limit) };
        let sign = if share < 0.0 { "-" } else { "" };
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{anchor}\" y2=\"{anchor}\" stroke=\"#999\" \
             stroke-width=\"0.5\"/><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{sign}{value}</text>",
            WIDTH - 20.0,
            LEFT - 6.0,
            anchor + 4.0
        );
    }
    for hour in 0..=(end_s / 3_600.0) as u32 {
        if f64::from(hour) % (end_s / 3_600.0 / 12.0).ceil() == 0.0 {
            let at = x(f64::from(hour) * 3_600.0);
            let below = top + PANEL + 16.0;
            let _ = writeln!(
                svg,
                "<text x=\"{at}\" y=\"{below}\" text-anchor=\"middle\">{hour} h</text>"
            );
        }
    }
    let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\">{label}</text>", LEFT + 8.0, top + 14.0);
}

/// As many points as can be seen: of each stretch of time the worst error and the widest bounds,
/// and nothing where something in it had no reading.
fn thinned(trace: &[TracePoint], duration_ns: i64) -> Vec<(f64, Option<Errors>)> {
    let stretch_ns = (duration_ns / STRETCHES).max(1);
    let together = |a: &TracePoint, b: &TracePoint| a.t_ns / stretch_ns == b.t_ns / stretch_ns;
    trace
        .chunk_by(together)
        .map(|stretch| {
            let (t_s, first) = coordinates(&stretch[0]);
            let worst = stretch.iter().map(|point| coordinates(point).1).fold(first, |a, b| {
                let (a, b) = (a?, b?);
                let error = if b.0.abs() > a.0.abs() { b.0 } else { a.0 };
                Some((error, a.1.max(b.1), a.2.max(b.2)))
            });
            (t_s, worst)
        })
        .collect()
}

fn coordinates(point: &TracePoint) -> (f64, Option<Errors>) {
    let ns = |span: ntp_clock_core::Span| span.as_nanos() as f64;
    let errors = point.error.map(|(error, max, est)| (ns(error), ns(max), ns(est)));
    (point.t_ns as f64 / SECOND_NS as f64, errors)
}

fn join(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut text = String::new();
    for (x, y) in points {
        let _ = write!(text, "{x:.1},{y:.1} ");
    }
    text
}

const STRETCHES: i64 = 480;
const WIDTH: f64 = 1_100.0;
const HEIGHT: f64 = 660.0;
const LEFT: f64 = 80.0;
const PANEL: f64 = 255.0;
