//! The full screen: keys in, pictures out, and the terminal as it was afterwards.

use std::io;
use std::time::{Duration, Instant};

use ntp_clock::{Clock, Events};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{self, EnterAlternateScreen};
use ratatui::layout::Rect;
use ratatui::{DefaultTerminal, TerminalOptions, Viewport};

use super::history::{Entry, History};
use super::news::news;
use super::panels::Picture;
use crate::args::WatchArgs;
use crate::failure::Failure;
use crate::stop::Stop;

/// Until q, Esc, Ctrl-C or a signal. The terminal is restored also after a panic.
pub(super) fn run(
    args: &WatchArgs,
    clock: &Clock,
    events: &Events,
    stop: Stop,
) -> Result<(), Failure> {
    let lost = |error: io::Error| Failure::Failed(format!("the terminal is lost: {error}"));
    let shown = open()
        .and_then(|mut terminal| show(args, clock, events, stop, &mut terminal))
        .map_err(lost);
    let restored = ratatui::try_restore().map_err(lost);
    shown.and(restored)
}

/// The whole terminal, as it is.
fn open() -> io::Result<DefaultTerminal> {
    let viewport = Viewport::Fixed(area()?);
    let terminal = ratatui::try_init_with_options(TerminalOptions { viewport })?;
    execute!(io::stdout(), EnterAlternateScreen)?;
    Ok(terminal)
}

/// Of the terminal as much as somebody can look at. Each cell costs memory twice, and terminals say
/// that they have billions of them.
fn area() -> io::Result<Rect> {
    let (columns, rows) = terminal::size()?;
    Ok(Rect::new(0, 0, columns.min(COLUMNS_MAX), rows.min(ROWS_MAX)))
}

fn show(
    args: &WatchArgs,
    clock: &Clock,
    events: &Events,
    stop: Stop,
    terminal: &mut DefaultTerminal,
) -> io::Result<()> {
    let begun = Instant::now();
    let mut history = History::default();
    let mut next_sample = begun;
    let mut shown = area()?;
    while !stop.is_asked() {
        for event in news(events) {
            let time = clock.now().map_or_else(
                || "--:--:--".to_owned(),
                |reading| reading.time().to_string().get(11..19).unwrap_or_default().to_owned(),
            );
            let warning = event.is_warning();
            history.tell(Entry { time, text: event.to_string(), warning });
        }
        let (now, status) = (Instant::now(), clock.status());
        if now >= next_sample {
            history.note(begun.elapsed(), &status);
            next_sample = (next_sample + args.interval).max(now);
        }
        let mut picture = Picture {
            time: clock.now().map(|reading| reading.time().to_string()),
            status: &status,
            history: &mut history,
            elapsed: begun.elapsed(),
        };
        let seen = area()?;
        if seen != shown {
            shown = seen;
            terminal.resize(shown)?;
        }
        terminal.draw(|frame| picture.draw(frame))?;
        if event::poll(FRAME)? && is_end(&event::read()?) {
            break;
        }
    }
    Ok(())
}

fn is_end(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let ctrl_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    let quits = matches!(key.code, KeyCode::Char('q' | 'Q') | KeyCode::Esc);
    key.kind == KeyEventKind::Press && (ctrl_c || quits)
}

/// Ten pictures a second: seconds are seen to pass.
const FRAME: Duration = Duration::from_millis(100);
/// More than the largest screens have.
const COLUMNS_MAX: u16 = 640;
const ROWS_MAX: u16 = 240;

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::crossterm::event::KeyEvent;

    #[test]
    fn q_escape_and_ctrl_c_end_it_and_other_keys_do_not() {
        let key = |code, modifiers| Event::Key(KeyEvent::new(code, modifiers));
        let none = KeyModifiers::NONE;
        assert!(is_end(&key(KeyCode::Char('q'), none)) && is_end(&key(KeyCode::Esc, none)));
        assert!(is_end(&key(KeyCode::Char('c'), KeyModifiers::CONTROL)));
        assert!(!is_end(&key(KeyCode::Char('c'), none)) && !is_end(&Event::Resize(80, 24)));
    }
}
