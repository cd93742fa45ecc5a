//! The links that a program has, by the names of their counters.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use ntp_clock_core::{
    Evidence, Fed, Link, LinkError, LinkSnapshot, LinkStamps, LocalTime, Oscillator, Source,
};

use crate::closure::Closure;
use crate::reason::in_words;
use crate::relation::Relation;
use crate::system::{ClosureError, LinkBetween, Stamp};

/// A bounded table of links. Where it is full, the one goes that was fed longest ago.
///
/// A counter's name is any text of 1 to 256 characters; who has the same name has the same counter.
/// A name that ends in `~` and a number is that of a counter which its system steers by up to so
/// many parts per million, as the clocks of this project name theirs: `5e884898da280471~500`.
///
/// ```
/// use ntp_clock_core::{Evidence, LocalTime};
/// use ntp_clock_order::Links;
///
/// let ns = LocalTime::from_nanos;
/// let mut links = Links::new(100);
/// // Something that was sent at 5 and received at 9: "mail" is at most 4 ns ahead.
/// links.message("shop", "mail", ns(5), ns(9))?;
/// let known = links.snapshot("mail", "shop", ns(9), Evidence::All).unwrap().at_a(ns(9));
/// assert_eq!(known.lower.unwrap().as_nanos(), -4);
/// assert_eq!(known.upper, None);
/// # Ok::<(), ntp_clock_order::LinksError>(())
/// ```
#[derive(Debug)]
pub struct Links {
    most: usize,
    table: HashMap<Pair, Entry>,
    /// By when they were fed last.
    fed: BTreeMap<u64, Pair>,
    feeds: u64,
}

/// Two counters' names, in order.
type Pair = (String, String);

#[derive(Debug)]
struct Entry {
    // A link holds many lines.
    link: Box<Link>,
    fed: u64,
}

/// One link of a table.
#[derive(Clone, Copy, Debug)]
pub struct LinkState<'a> {
    /// The name of the link's A.
    pub a: &'a str,
    /// The name of its B.
    pub b: &'a str,
    /// What is known of the two.
    pub link: &'a Link,
}

/// Why a table of links refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinksError {
    /// It is no name.
    #[error("a counter's name has 1 to {NAME_CHARS} characters, not {0}")]
    Name(usize),
    /// Both names are the same.
    #[error("a link is between two counters, and both names are the same")]
    SameCounter,
    /// The evidence cannot be true.
    #[error(transparent)]
    Evidence(#[from] LinkError),
    /// What the links know makes no closure.
    #[error(transparent)]
    Closure(#[from] ClosureError),
}

impl Links {
    /// A table of this many links at the most, at least one.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Links { most: most.max(1), table: HashMap::new(), fed: BTreeMap::new(), feeds: 0 }
    }

    /// The counter `a` asked `b` and got a reply.
    ///
    /// # Errors
    /// [`LinksError`] for names that are none, and for stamps that cannot be those of an exchange.
    pub fn exchange(&mut self, a: &str, b: &str, stamps: &LinkStamps) -> Result<Fed, LinksError> {
        self.feed(a, b, |link, turned| {
            if turned { link.exchange_by_b(&mirrored(stamps)) } else { link.exchange(stamps) }
        })
    }

    /// Something was sent when the sender's counter read `sent`, or later, and had been received
    /// when the receiver's read `received`, or earlier.
    ///
    /// # Errors
    /// [`LinksError`] for names that are none, and for stamps that are too old to say anything.
    pub fn message(
        &mut self,
        sender: &str,
        receiver: &str,
        sent: LocalTime,
        received: LocalTime,
    ) -> Result<Fed, LinksError> {
        self.feed(sender, receiver, |link, turned| {
            if turned {
                link.message_to_a(sent, received, Source::Message)
            } else {
                link.message_to_b(sent, received, Source::Message)
            }
        })
    }

    /// What is known of `a` and `b` when the counter of `a` reads this; `None` without evidence.
    #[must_use]
    pub fn snapshot(
        &self,
        a: &str,
        b: &str,
        at: LocalTime,
        evidence: Evidence,
    ) -> Option<LinkSnapshot> {
        let (pair, turned) = pair(a, b);
        let entry = self.table.get(&pair)?;
        near(&entry.link, turned, at, evidence)
    }

    /// How a moment of one counter stands to a moment of another: by their link, and by those of
    /// both to third counters.
    ///
    /// # Errors
    /// [`LinksError::Name`] for names that are none.
    pub fn between(
        &self,
        (a, at_a): (&str, LocalTime),
        (b, at_b): (&str, LocalTime),
        evidence: Evidence,
    ) -> Result<Between, LinksError> {
        let mut names = vec![checked(a)?];
        if checked(b)? != a {
            names.push(b);
        }
        let (mut links, mut found) = (Vec::new(), Vec::new());
        // In an order that does not change from run to run.
        let mut pairs: Vec<_> = self.table.iter().collect();
        pairs.sort_unstable_by_key(|&(pair, _)| pair);
        for ((first, second), entry) in pairs {
            // Their own link is looked at from both ends: a snapshot is best at its own moment.
            for (end, at) in [(a, at_a), (b, at_b)] {
                if first != end && second != end {
                    continue;
                }
                let turned = second == end;
                let Some(snapshot) = near(&entry.link, turned, at, evidence) else { continue };
                let other = if turned { first } else { second };
                let mut place = |name| {
                    names.iter().position(|&known| known == name).unwrap_or_else(|| {
                        names.push(name);
                        names.len() - 1
                    })
                };
                let (clock_a, clock_b) = (place(end), place(other));
                links.push(LinkBetween { a: clock_a, b: clock_b, snapshot });
                let names = if other == a { (other.as_str(), end) } else { (end, other.as_str()) };
                found.push((names.0.to_owned(), names.1.to_owned()));
            }
        }
        let clocks: Vec<_> = names.iter().map(|name| oscillator(name)).collect();
        let stamps = [(0, at_a), (usize::from(a != b), at_b)].map(|(clock, counter)| Stamp {
            clock,
            counter,
            utc: None,
        });
        let closure = Closure::new(&clocks, &stamps, &links, &[])?;
        Ok(Between { relation: closure.relation(0, 1), links: found })
    }

    /// The link of these two; `None` where nothing was ever fed of them.
    #[must_use]
    pub fn get(&self, a: &str, b: &str) -> Option<LinkState<'_>> {
        let (found, entry) = self.table.get_key_value(&pair(a, b).0)?;
        Some(LinkState { a: &found.0, b: &found.1, link: &entry.link })
    }

    /// All links, those first that were fed last.
    pub fn iter(&self) -> impl Iterator<Item = LinkState<'_>> {
        self.fed.values().rev().filter_map(|pair| {
            let entry = self.table.get(pair)?;
            Some(LinkState { a: &pair.0, b: &pair.1, link: &entry.link })
        })
    }

    /// How many links there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Feeds the link of these two, made where there is none; the argument of `feed` says whether
    /// its A is `b`. What is refused makes none, and so drives none out.
    fn feed(
        &mut self,
        a: &str,
        b: &str,
        feed: impl FnOnce(&mut Link, bool) -> Result<Fed, LinkError>,
    ) -> Result<Fed, LinksError> {
        if checked(a)? == checked(b)? {
            return Err(LinksError::SameCounter);
        }
        let (pair, turned) = pair(a, b);
        let fed = if let Some(entry) = self.table.get_mut(&pair) {
            feed(&mut entry.link, turned)?
        } else {
            let mut link = Box::new(Link::new(oscillator(&pair.0), oscillator(&pair.1)));
            let fed = feed(&mut link, turned)?;
            if self.table.len() >= self.most
                && let Some((_, oldest)) = self.fed.pop_first()
            {
                self.table.remove(&oldest);
            }
            self.table.insert(pair.clone(), Entry { link, fed: 0 });
            fed
        };
        if let Some(entry) = self.table.get_mut(&pair) {
            touch(&pair, entry, &mut self.fed, &mut self.feeds);
        }
        Ok(fed)
    }
}

/// Two moments, and the links that were looked at for them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Between {
    /// How they stand to one another. [`Reason::Link`](crate::Reason::Link) is a place among
    /// `links`; the clocks 0 and 1 are those that were asked for, where they are two.
    pub relation: Relation,
    /// The names of the counters of each link.
    pub links: Vec<(String, String)>,
}

impl Between {
    /// What the verdict rests on, in words.
    #[must_use]
    pub fn rests_on(&self) -> Vec<String> {
        let link = |place: usize| self.links.get(place).map(|(a, b)| (a.as_str(), b.as_str()));
        in_words(&self.relation.rests_on, link, |_| None)
    }
}

/// It is being fed.
fn touch(pair: &Pair, entry: &mut Entry, fed: &mut BTreeMap<u64, Pair>, feeds: &mut u64) {
    let pair = fed.remove(&entry.fed).unwrap_or_else(|| pair.clone());
    *feeds += 1;
    entry.fed = *feeds;
    fed.insert(*feeds, pair);
}

/// The names in order, and whether they were not.
fn pair(a: &str, b: &str) -> (Pair, bool) {
    match a.cmp(b) {
        Ordering::Greater => ((b.to_owned(), a.to_owned()), true),
        _ => ((a.to_owned(), b.to_owned()), false),
    }
}

fn checked(name: &str) -> Result<&str, LinksError> {
    let characters = name.chars().count();
    if (1..=NAME_CHARS).contains(&characters) {
        Ok(name)
    } else {
        Err(LinksError::Name(characters))
    }
}

/// What the counter of this name may do: `...~500` is steered by up to 500 ppm. What follows the
/// `~` is a whole number; without one the counter is not steered.
#[must_use]
pub fn oscillator(name: &str) -> Oscillator {
    let digits = |ppm: &&str| !ppm.is_empty() && ppm.bytes().all(|byte| byte.is_ascii_digit());
    let steering = name.rsplit_once('~').map(|(_, ppm)| ppm).filter(digits);
    // One that no number holds is as hard as any.
    let ppm = steering.map(|ppm| ppm.parse::<u32>().unwrap_or(u32::MAX));
    ppm.map_or(Oscillator::FREE, |ppm| Oscillator::steered(f64::from(ppm)))
}

fn mirrored(stamps: &LinkStamps) -> LinkStamps {
    let &LinkStamps { sent_a, received_b, sent_b, received_a } = stamps;
    LinkStamps { sent_a: sent_b, received_b: received_a, sent_b: sent_a, received_a: received_b }
}

/// What a link knows when one end reads this: its A or, turned, its B, which is A of what comes.
fn near(link: &Link, turned: bool, at: LocalTime, evidence: Evidence) -> Option<LinkSnapshot> {
    if !turned {
        return link.snapshot(at, evidence);
    }
    // The moment by A's counter: near it is enough, for a snapshot is exact at what it names.
    let theta = link.at_b(at, evidence);
    let theta = theta.estimate.or(theta.upper).or(theta.lower)?;
    Some(link.snapshot(at - theta, evidence)?.mirrored())
}

/// An id with its scope, and room for names of one's own.
const NAME_CHARS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;
    use crate::relation::{By, Verdict};

    fn ns(nanos: i64) -> LocalTime {
        LocalTime::from_nanos(nanos)
    }

    /// B is so much ahead of A, and each way takes 100 us.
    fn exchange(at: i64, ahead: i64) -> LinkStamps {
        LinkStamps {
            sent_a: ns(at),
            received_b: ns(at + 100_000 + ahead),
            sent_b: ns(at + 110_000 + ahead),
            received_a: ns(at + 210_000),
        }
    }

    #[test]
    fn a_link_is_the_same_from_both_of_its_ends() {
        for (asker, other) in [("a", "b"), ("b", "a")] {
            let mut links = Links::new(9);
            assert_eq!(links.exchange(asker, other, &exchange(1_000, 500)), Ok(Fed::Kept));
            assert_eq!(links.exchange(asker, other, &exchange(9_000_000, 500)), Ok(Fed::Kept));
            let known = links.snapshot(asker, other, ns(9_000_000), Evidence::All).unwrap();
            let back = links.snapshot(other, asker, ns(9_000_500), Evidence::All).unwrap();
            let (there, back) = (known.at_a(ns(9_000_000)), back.at_a(ns(9_000_500)));
            let apart = there.lower.unwrap() + back.upper.unwrap();
            assert!(apart.abs().as_nanos() <= 2, "{there:?} {back:?}");
            assert!(
                there.lower.unwrap().as_nanos() <= 500 && there.upper.unwrap().as_nanos() >= 500
            );
            let state = links.iter().next().unwrap();
            assert_eq!((state.a, state.b, state.link.exchanges()), ("a", "b", 2));
            for found in [links.get("a", "b").unwrap(), links.get("b", "a").unwrap()] {
                assert_eq!((found.a, found.b, found.link.exchanges()), ("a", "b", 2));
            }
            assert!(links.get("a", "c").is_none());
            assert_eq!(state.link.round_trip().map(|trip| trip.as_nanos()), Some(200_000));
        }
    }

    #[test]
    fn the_link_that_was_fed_longest_ago_makes_room() {
        let mut links = Links::new(2);
        links.message("a", "b", ns(1), ns(2)).unwrap();
        links.message("c", "a", ns(1), ns(2)).unwrap();
        links.message("b", "a", ns(3), ns(4)).unwrap();
        links.message("d", "a", ns(1), ns(2)).unwrap();
        let left: Vec<_> = links.iter().map(|state| (state.a, state.b)).collect();
        assert_eq!(left, [("a", "d"), ("a", "b")]);
        assert_eq!(links.len(), 2);
    }

    #[test]
    fn what_is_refused_drives_out_no_link() {
        let mut links = Links::new(1);
        links.exchange("a", "b", &exchange(1_000, 500)).unwrap();
        let backward = LinkStamps { received_a: ns(0), ..exchange(1_000, 0) };
        assert!(links.exchange("c", "d", &backward).is_err());
        assert!(links.get("a", "b").is_some() && links.get("c", "d").is_none());
    }

    #[test]
    fn names_and_stamps_that_cannot_be_are_refused() {
        let mut links = Links::new(2);
        assert_eq!(links.message("", "b", ns(1), ns(2)), Err(LinksError::Name(0)));
        let long = "x".repeat(257);
        assert_eq!(links.message("a", &long, ns(1), ns(2)), Err(LinksError::Name(257)));
        assert_eq!(links.message("a", "a", ns(1), ns(2)), Err(LinksError::SameCounter));
        let backward = LinkStamps { received_a: ns(0), ..exchange(1_000, 0) };
        let refused = links.exchange("a", "b", &backward);
        assert_eq!(refused, Err(LinksError::Evidence(LinkError::Backward)));
    }

    #[test]
    fn the_end_of_a_name_says_how_hard_its_counter_is_steered() {
        assert_eq!(oscillator("0f3a~500"), Oscillator::steered(500.0));
        let most = Oscillator::steered(f64::INFINITY);
        assert_eq!(oscillator("0f3a~99999999999999999999"), most);
        for free in ["0f3a", "0f3a~", "0f3a~x", "0f3a~-5", "~"] {
            assert_eq!(oscillator(free), Oscillator::FREE, "{free}");
        }
    }

    #[test]
    fn moments_of_two_counters_are_ordered_over_a_third_one() {
        let mut links = Links::new(9);
        links.exchange("shop", "hub", &exchange(0, 5_000_000)).unwrap();
        links.exchange("mail", "hub", &exchange(50_000_000, 2_000_000)).unwrap();
        // By the hub's counter 6 and 52 ms.
        let found = links.between(("shop", ns(1_000_000)), ("mail", ns(50_000_000)), Evidence::All);
        let Between { relation, links: names } = found.unwrap();
        assert_eq!((relation.verdict, relation.by), (Verdict::Before, Some(By::Clock)));
        assert_eq!(relation.rests_on, [Reason::Link(1), Reason::Link(0)]);
        assert_eq!(names[0], ("mail".to_owned(), "hub".to_owned()));
        let estimate = relation.estimate.unwrap().as_millis_f64();
        assert!((estimate - 46.0).abs() < 0.1, "{estimate}");
    }

    #[test]
    fn moments_of_one_counter_need_no_link() {
        let found = Links::new(1).between(("a", ns(5)), ("a", ns(4)), Evidence::All).unwrap();
        assert_eq!(found.relation.verdict, Verdict::After);
        assert_eq!(found.relation.rests_on, [Reason::Counter(0)]);
    }
}
