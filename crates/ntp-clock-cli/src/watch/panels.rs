//! What the full screen shows, drawn from a status and a history: no terminal needed.

use std::time::Duration;

use ntp_clock::{Span, Status, SyncState};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Text};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph, Wrap};

use super::history::{History, Sample};
use crate::display::{or_dash, signed, span};
use crate::nts;
use crate::status::{drift, rejections_line, server_line};

/// All that one picture is made of.
#[derive(Debug)]
pub(super) struct Picture<'a> {
    pub(super) time: Option<String>,
    pub(super) status: &'a Status,
    pub(super) history: &'a mut History,
    /// Since the start.
    pub(super) elapsed: Duration,
}

impl Picture<'_> {
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let facts = self.facts(area.width);
        let facts_height = u16::try_from(facts.len()).unwrap_or(u16::MAX).saturating_add(2);
        let log_height = (area.height / 4).clamp(3, 10);
        let [head, plot, log, foot] = Layout::vertical([
            Constraint::Length(facts_height),
            Constraint::Min(0),
            Constraint::Length(log_height),
            Constraint::Length(1),
        ])
        .areas(area);
        self.draw_head(frame, head, facts);
        self.draw_plot(frame, plot);
        self.draw_log(frame, log);
        let hint = Line::from(" q or Ctrl-C ends");
        frame.render_widget(Paragraph::new(hint).dim(), foot);
    }

    fn draw_head(&self, frame: &mut Frame<'_>, area: Rect, facts: Vec<String>) {
        let state = self.status.state;
        let style = Style::new().fg(state_color(state)).add_modifier(Modifier::BOLD);
        let title = Line::from(format!(" {} ", state.name())).style(style);
        let block = Block::bordered().title(" ntp-clock ").title(title.right_aligned());
        let lines: Vec<Line<'_>> = facts.into_iter().map(Line::from).collect();
        frame.render_widget(Paragraph::new(Text::from(lines)).block(block), area);
    }

    /// Two columns where there is room, else one.
    fn facts(&self, width: u16) -> Vec<String> {
        let status = self.status;
        let of = |value: Option<Span>| or_dash(value, span);
        let pairs = [
            ("offset", or_dash(status.offset, signed)),
            ("max error", of(status.max_error)),
            ("est error", of(status.est_error)),
            ("delay", of(status.delay)),
            ("drift", or_dash(status.drift_ppm, drift)),
            ("next sync", or_dash(status.next_sync_in, whole_seconds)),
            ("replies", format!("{} of {} believed", status.believed, status.requests)),
            ("rejected", rejections_line(status).unwrap_or_else(|| "none".to_owned())),
        ];
        let cell = |(name, value): &(&str, String)| format!(" {name:<10} {value}");
        let mut facts = vec![
            cell(&("time", self.time.clone().unwrap_or_else(|| "-".to_owned()))),
            cell(&("server", server_line(status))),
        ];
        facts.extend(nts::rows_in_short(status).iter().map(cell));
        if width >= TWO_COLUMNS_FROM {
            let (left, right) = pairs.split_at(pairs.len() / 2);
            for (left, right) in left.iter().zip(right) {
                facts.push(format!("{:<34}{}", cell(left), cell(right)));
            }
        } else {
            facts.extend(pairs.iter().map(cell));
        }
        if let Some(error) = &status.last_error {
            facts.push(cell(&("error", error.to_string())));
        }
        facts
    }

    fn draw_plot(&mut self, frame: &mut Frame<'_>, area: Rect) {
        if area.height < PLOT_HEIGHT_MIN {
            return;
        }
        let max_error = or_dash(self.status.max_error, span);
        let block = Block::bordered()
            .title(" offset, and its est error ")
            .title(Line::from(format!(" max error {max_error} ")).right_aligned());
        let Some((low, high)) = self.history.range_ms() else {
            let text = Paragraph::new(" nothing to show until the first reply").dim();
            frame.render_widget(text.block(block), area);
            return;
        };
        let scale = Scale::of(low, high);
        let now = self.elapsed.as_secs_f64();
        let begin = self.history.begin_secs();
        let mut edges = Vec::new();
        let mut centres = Vec::new();
        for run in self.history.runs() {
            let line = |value: fn(f64, f64) -> f64| -> Vec<(f64, f64)> {
                let point = |s: &Sample| value(s.offset_ms, s.est_error_ms) * scale.per_ms;
                run.iter().map(|s| (s.at_secs - now, point(s))).collect()
            };
            edges.push(line(|offset, error| offset + error));
            edges.push(line(|offset, error| offset - error));
            centres.push(line(|offset, _| offset));
        }
        let dataset = |points, color| {
            Dataset::default()
                .marker(Marker::Braille)
                .graph_type(GraphType::Line)
                .style(Style::new().fg(color))
                .data(points)
        };
        let edges = edges.iter().map(|points| dataset(points, Color::DarkGray));
        let datasets = edges.chain(centres.iter().map(|points| dataset(points, Color::Cyan)));
        let datasets = datasets.collect();
        let span_secs = (now - begin).max(1.0);
        let x = Axis::default()
            .bounds([-span_secs, 0.0])
            .labels([format!("-{}", length(span_secs)), "now".to_owned()])
            .dim();
        let y = Axis::default().bounds([scale.low, scale.high]).labels(scale.labels()).dim();
        let chart = Chart::new(datasets).x_axis(x).y_axis(y).block(block).legend_position(None);
        frame.render_widget(chart, area);
    }

    fn draw_log(&self, frame: &mut Frame<'_>, area: Rect) {
        let lines: Vec<Line<'_>> = self
            .history
            .events()
            .take(usize::from(area.height))
            .map(|entry| {
                let line = Line::from(format!(" {} {}", entry.time, entry.text));
                if entry.warning { line.yellow() } else { line }
            })
            .collect();
        let block = Block::bordered().title(" events, newest first ");
        let text = Paragraph::new(Text::from(lines)).wrap(Wrap { trim: false });
        frame.render_widget(text.block(block), area);
    }
}

/// The plot's vertical axis in a unit that suits.
struct Scale {
    low: f64,
    high: f64,
    per_ms: f64,
    unit: &'static str,
}

impl Scale {
    /// From the range in milliseconds, with some air.
    fn of(low_ms: f64, high_ms: f64) -> Scale {
        let air = ((high_ms - low_ms) * 0.05).max(1e-6);
        let largest = low_ms.abs().max(high_ms.abs());
        let (per_ms, unit) = match largest {
            ..1.0 => (1e3, "us"),
            ..1_000.0 => (1.0, "ms"),
            _ => (1e-3, "s"),
        };
        Scale { low: (low_ms - air) * per_ms, high: (high_ms + air) * per_ms, per_ms, unit }
    }

    /// Enough digits to tell the ends apart.
    fn labels(&self) -> [String; 3] {
        let digits = (2.0 - (self.high - self.low).log10()).ceil().clamp(0.0, 9.0) as usize;
        let label = |value: f64| format!("{value:+.digits$} {}", self.unit);
        [label(self.low), label((self.low + self.high) / 2.0), label(self.high)]
    }
}

fn state_color(state: SyncState) -> Color {
    match state {
        SyncState::Synchronised => Color::Green,
        SyncState::Failed => Color::Red,
        _ => Color::Yellow,
    }
}

fn whole_seconds(left: Span) -> String {
    if left == Span::ZERO { "now".to_owned() } else { format!("in {}", length(left.as_secs_f64())) }
}

/// A length of time for an axis: `45 s`, `3 min 20 s`, `2 h 5 min`.
fn length(secs: f64) -> String {
    let secs = secs.round() as u64;
    match (secs / 3_600, secs / 60 % 60, secs % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

const TWO_COLUMNS_FROM: u16 = 72;
const PLOT_HEIGHT_MIN: u16 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::history::Entry;
    use ntp_clock::{ManualClock, NtsStatus, UnixTime};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    /// The picture as text, one string a row.
    fn picture(width: u16, height: u16, synced: bool) -> Vec<String> {
        let manual = ManualClock::new();
        let mut history = History::default();
        if synced {
            manual.set(UnixTime::from_nanos(1_759_639_032_768_445_000), Span::from_millis(2));
            for second in 0..60 {
                history.note(Duration::from_secs(second), &manual.clock().status());
            }
        }
        let text = "attempt 1 failed: no reply".to_owned();
        history.tell(Entry { time: "04:37:12".to_owned(), text, warning: true });
        let status = manual.clock().status();
        let time = manual.clock().now().map(|reading| reading.time().to_string());
        let elapsed = Duration::from_secs(60);
        let mut shown = Picture { time, status: &status, history: &mut history, elapsed };
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| shown.draw(frame)).unwrap();
        rows_of(&terminal)
    }

    fn rows_of(terminal: &Terminal<TestBackend>) -> Vec<String> {
        let buffer = terminal.backend().buffer();
        let cells: Vec<&str> = buffer.content.iter().map(|cell| cell.symbol()).collect();
        cells.chunks(usize::from(buffer.area.width)).map(|row| row.concat()).collect()
    }

    #[test]
    fn a_synchronised_clock_shows_its_time_both_errors_a_plot_and_its_events() {
        let rows = picture(100, 30, true);
        let screen = rows.join("\n");
        for text in [
            "synchronised",
            "time       2025-10-05T04:37:12.768445+00:00",
            "max error  2.000 ms",
            "est error",
            "drift",
            "offset, and its est error",
            "max error 2.000 ms",
            "-1 min 0 s",
            "04:37:12 attempt 1 failed: no reply",
            "q or Ctrl-C ends",
        ] {
            assert!(screen.contains(text), "{text} is not in\n{screen}");
        }
        assert!(screen.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "{screen}");
    }

    #[test]
    fn a_clock_that_requires_proof_shows_it_with_the_cookies_that_are_left_and_the_certificate() {
        let manual = ManualClock::new();
        manual.set(UnixTime::from_nanos(1_793_500_000_000_000_000), Span::from_millis(2));
        let mut status = manual.clock().status();
        let mut proofs = NtsStatus::default();
        proofs.cookies = 7;
        proofs.ntp_host = Some("192.0.2.1:123".to_owned());
        proofs.certificate_subject = Some("CN=time.example".to_owned());
        proofs.certificate_expires = Some(UnixTime::from_nanos(1_793_600_000_000_000_000));
        (status.authenticated, status.nts) = (true, Some(proofs));
        let (mut history, elapsed) = (History::default(), Duration::from_secs(60));
        let mut shown = Picture { time: None, status: &status, history: &mut history, elapsed };
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| shown.draw(frame)).unwrap();
        let screen = rows_of(&terminal).join("\n");
        for text in [
            "nts        authenticated, 7 cookies left, time asked at 192.0.2.1:123",
            "cert       CN=time.example, until 2026-11-02T06:13:20",
        ] {
            assert!(screen.contains(text), "{text} is not in\n{screen}");
        }
    }

    #[test]
    fn what_moves_fills_the_plot_however_wide_the_hard_bound_is() {
        let clock = ManualClock::new();
        let mut status = clock.clock().status();
        let mut history = History::default();
        for second in 0..120_u32 {
            let moved = (f64::from(second) / 20.0).sin() * 100_000.0;
            status.offset = Some(Span::from_nanos(4_000_000 + moved as i64));
            status.est_error = Some(Span::from_nanos(30_000));
            status.max_error = Some(Span::from_millis(18));
            history.note(Duration::from_secs(u64::from(second)), &status);
        }
        let area = Rect::new(0, 0, 100, 20);
        let elapsed = Duration::from_secs(120);
        let mut shown = Picture { time: None, status: &status, history: &mut history, elapsed };
        let mut terminal = Terminal::new(TestBackend::new(area.width, area.height)).unwrap();
        terminal.draw(|frame| shown.draw_plot(frame, area)).unwrap();
        let buffer = terminal.backend().buffer();
        let drawn = |y: u16| (0..area.width).any(|x| buffer[(x, y)].fg == Color::Cyan);
        let rows = (0..area.height).filter(|y| drawn(*y)).count();
        assert!(rows >= 8, "the line is {rows} rows high in\n{buffer:?}");
    }

    #[test]
    fn an_unsynchronised_clock_shows_no_time_and_no_plot() {
        let screen = picture(80, 24, false).join("\n");
        assert!(screen.contains("time       -"), "{screen}");
        assert!(screen.contains("nothing to show until the first reply"), "{screen}");
    }

    #[test]
    fn any_size_of_terminal_is_drawn_on() {
        for (width, height) in [(1, 1), (10, 5), (40, 12), (71, 20), (72, 3), (300, 100)] {
            assert_eq!(picture(width, height, true).len(), usize::from(height));
        }
        let narrow = picture(40, 24, true).join("\n");
        assert!(narrow.contains("max error  2.000 ms"), "{narrow}");
    }

    #[test]
    fn the_axis_has_a_unit_that_suits_and_digits_that_differ() {
        for (low, high, unit) in [(0.01, 0.03, "us"), (-20.0, 5.0, "ms"), (-5e3, 2e6, "s")] {
            let labels = Scale::of(low, high).labels();
            assert!(labels.iter().all(|label| label.ends_with(unit)), "{labels:?}");
            assert!(labels[0] != labels[1] && labels[1] != labels[2], "{labels:?}");
        }
        assert_eq!(length(3_725.0), "1 h 2 min");
        assert_eq!(length(200.0), "3 min 20 s");
    }
}
