//! What JavaScript asks, and the answers.

use ntp_clock_order::{
    By, Cause, Evidence, Fed, LinkSnapshot, LinkStamps, Links, LocalTime, Moment, NamedLink,
    Relation, Relations, Span, UnixTime, Verdict,
};

use crate::shelf::Shelf;
use crate::tape::{Reader, Writer};

/// All that JavaScript has made.
#[derive(Default, Debug)]
pub struct Orders {
    relations: Shelf<Relations>,
    links: Shelf<Links>,
}

/// What each question is, by its number. Each answer begins with 1, or with 0 and what is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
enum Question {
    NewRelations,
    Between,
    Contradictions,
    DropRelations,
    NewLinks,
    Exchange,
    Message,
    Snapshot,
    Difference,
    Pairs,
    DropLinks,
}

impl Question {
    const ALL: [Question; 11] = [
        Question::NewRelations,
        Question::Between,
        Question::Contradictions,
        Question::DropRelations,
        Question::NewLinks,
        Question::Exchange,
        Question::Message,
        Question::Snapshot,
        Question::Difference,
        Question::Pairs,
        Question::DropLinks,
    ];
}

impl Orders {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Orders::default()
    }

    /// The answer to what is on this tape.
    #[must_use]
    pub fn answer(&mut self, tape: &[u8]) -> Vec<u8> {
        let mut asked = Reader::new(tape);
        let mut out = Writer::default();
        out.u32(1);
        match self.write_answer(&mut asked, &mut out) {
            Ok(()) => out.into_bytes(),
            Err(wrong) => {
                let mut out = Writer::default();
                out.u32(0).text(&wrong);
                out.into_bytes()
            }
        }
    }

    fn write_answer(&mut self, asked: &mut Reader<'_>, out: &mut Writer) -> Result<(), String> {
        let question = asked.u32();
        let question = Question::ALL.get(question as usize).ok_or("there is no such question")?;
        match question {
            Question::NewRelations => {
                out.u32(self.relations.put(relations(asked)?));
            }
            Question::Between => {
                let evidence = evidence(asked);
                let relations = self.relations.get(asked.u32()).ok_or(DROPPED)?;
                let (i, j) = (asked.u32() as usize, asked.u32() as usize);
                let (relation, rests_on) = relations
                    .between(i, j, evidence)
                    .ok_or_else(|| format!("there is no moment {i} or {j}"))?;
                tell_relation(out, &relation, &rests_on);
            }
            Question::Contradictions => {
                let contradictions =
                    self.relations.get(asked.u32()).ok_or(DROPPED)?.contradictions();
                out.u32(contradictions.len() as u32);
                for reasons in contradictions {
                    out.texts(&reasons);
                }
            }
            Question::DropRelations => self.relations.drop(asked.u32()),
            Question::NewLinks => {
                out.u32(self.links.put(Links::new(asked.u32() as usize)));
            }
            Question::DropLinks => self.links.drop(asked.u32()),
            Question::Exchange
            | Question::Message
            | Question::Snapshot
            | Question::Difference
            | Question::Pairs => {
                let links = self.links.get(asked.u32()).ok_or(DROPPED)?;
                of_links(*question, links, asked, out)?;
            }
        }
        Ok(())
    }
}

fn of_links(
    question: Question,
    links: &mut Links,
    asked: &mut Reader<'_>,
    out: &mut Writer,
) -> Result<(), String> {
    if question == Question::Pairs {
        out.u32(links.len() as u32);
        for state in links.iter() {
            let link = state.link;
            let newest = link.newest_a().map_or(-1, LocalTime::as_nanos);
            out.text(state.a).text(state.b);
            for count in [link.exchanges(), link.messages(), link.restarts()] {
                out.f64(count as f64);
            }
            out.i64(newest);
        }
        return Ok(());
    }
    let (a, b) = (asked.text(), asked.text());
    match question {
        Question::Exchange => {
            let stamps = LinkStamps {
                sent_a: local(asked),
                received_b: local(asked),
                sent_b: local(asked),
                received_a: local(asked),
            };
            tell_fed(out, links.exchange(&a, &b, &stamps).map_err(|error| error.to_string())?);
        }
        Question::Message => {
            let (sent, received) = (local(asked), local(asked));
            let fed = links.message(&a, &b, sent, received).map_err(|error| error.to_string())?;
            tell_fed(out, fed);
        }
        Question::Snapshot => match NamedLink::of(links, &a, &b, local(asked)) {
            Some(link) => tell_link(out.u32(1), &link),
            None => {
                out.u32(0);
            }
        },
        _ => {
            let (at_a, at_b) = (local(asked), local(asked));
            let between = links
                .between((&a, at_a), (&b, at_b), evidence(asked))
                .map_err(|error| error.to_string())?;
            tell_relation(out, &between.relation, &between.rests_on());
        }
    }
    Ok(())
}

fn local(asked: &mut Reader<'_>) -> LocalTime {
    LocalTime::from_nanos(asked.i64())
}

fn evidence(asked: &mut Reader<'_>) -> Evidence {
    if asked.u32() == 0 { Evidence::All } else { Evidence::Exchanges }
}

fn relations(asked: &mut Reader<'_>) -> Result<Relations, String> {
    let moments = asked.list(|asked| Moment {
        counter: asked.text(),
        at: local(asked),
        utc: (asked.u32() != 0)
            .then(|| (UnixTime::from_nanos(asked.i64()), Span::from_nanos(asked.i64()))),
    });
    let links = asked.list(link);
    let place = |asked: &mut Reader<'_>| asked.u32() as usize;
    let causes = asked.list(|asked| Cause { earlier: place(asked), later: place(asked) });
    let names = asked.list(Reader::text);
    Relations::new(&moments, &links, &causes, &names).map_err(|error| error.to_string())
}

/// Infinite and NaN where a number is not known.
fn link(asked: &mut Reader<'_>) -> NamedLink {
    NamedLink {
        a: asked.text(),
        b: asked.text(),
        snapshot: LinkSnapshot {
            a: local(asked),
            b: local(asked),
            lower_ns: asked.f64(),
            upper_ns: asked.f64(),
            estimate_ns: asked.f64(),
            est_error_ns: asked.f64(),
            rate_low: asked.f64() * PER_BILLION,
            rate_high: asked.f64() * PER_BILLION,
            round_trip_ns: asked.f64(),
        },
        exchanges: (asked.f64(), asked.f64()),
    }
}

fn tell_link(out: &mut Writer, NamedLink { a, b, snapshot, exchanges }: &NamedLink) {
    out.text(a).text(b).i64(snapshot.a.as_nanos()).i64(snapshot.b.as_nanos());
    for number in [
        snapshot.lower_ns,
        snapshot.upper_ns,
        snapshot.estimate_ns,
        snapshot.est_error_ns,
        snapshot.rate_low / PER_BILLION,
        snapshot.rate_high / PER_BILLION,
        snapshot.round_trip_ns,
        exchanges.0,
        exchanges.1,
    ] {
        out.f64(number);
    }
}

fn tell_fed(out: &mut Writer, fed: Fed) {
    out.text(match fed {
        Fed::Kept => "kept",
        Fed::Dropped => "dropped",
        Fed::Restarted => "restarted",
    });
}

fn tell_relation(out: &mut Writer, relation: &Relation, rests_on: &[String]) {
    out.text(match relation.verdict {
        Verdict::Before => "certainly_before",
        Verdict::After => "certainly_after",
        Verdict::CannotTell => "cannot_tell",
    });
    out.text(match relation.by {
        Some(By::Clock) => "clock",
        Some(By::Cause) => "cause",
        None => "",
    });
    let Relation { lower, upper, estimate, est_error, .. } = relation;
    for span in [lower, upper, estimate, est_error] {
        out.f64(span.map_or(f64::NAN, |span| span.as_nanos() as f64));
    }
    out.texts(rests_on);
}

const DROPPED: &str = "it was dropped before";
const PER_BILLION: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_that_is_none_is_refused_in_words() {
        for tape in [&[99, 0, 0, 0][..], &[1, 0, 0, 0]] {
            let answer = Orders::new().answer(tape);
            let mut reader = Reader::new(&answer);
            assert_eq!(reader.u32(), 0);
            assert!(!reader.text().is_empty());
        }
    }

    #[test]
    fn every_question_has_its_number() {
        for (number, question) in Question::ALL.into_iter().enumerate() {
            assert_eq!(question as usize, number);
        }
    }

    #[test]
    fn a_table_of_links_answers_until_it_is_dropped() {
        let mut orders = Orders::new();
        let mut ask = |question: Question, write: &dyn Fn(&mut Writer)| {
            let mut asked = Writer::default();
            asked.u32(question as u32);
            write(&mut asked);
            orders.answer(&asked.into_bytes())
        };
        let made = ask(Question::NewLinks, &|asked| {
            asked.u32(10);
        });
        let mut reader = Reader::new(&made);
        assert_eq!((reader.u32(), reader.u32()), (1, 1));
        let message = |asked: &mut Writer| {
            asked.u32(1).text("a").text("b").i64(5).i64(9);
        };
        let fed = ask(Question::Message, &message);
        let mut reader = Reader::new(&fed);
        assert_eq!((reader.u32(), reader.text().as_str()), (1, "kept"));
        ask(Question::DropLinks, &|asked| {
            asked.u32(1);
        });
        assert_eq!(Reader::new(&ask(Question::Message, &message)).u32(), 0);
    }
}
