//! Questions about the texts that patterns match, answered by a walk through their automata side by side.

use std::collections::{HashMap, VecDeque};

use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::start;
use regex_automata::util::syntax;
use regex_automata::{Anchored, MatchKind};

use crate::image::MAX_TAG_LENGTH;

/// The most memory of a pattern's automaton, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// The most places that a walk visits; it gives up then.
const MOST_VISITS: usize = 20_000;

/// The characters that a tag is made of, those first that read well in an example.
const CHARACTERS: &[u8] = b".1234567890abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

/// The texts in which one pattern matches somewhere.
pub(super) struct Language {
    dfa: DFA,
    cache: Cache,
}

/// The texts that are asked about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Texts {
    /// Tags.
    Tags,
    /// What a group may take out of a tag.
    PartsOfTags,
}

/// The walk took too long, and nothing is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooDear;

/// How far a pattern has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Progress {
    Matched,
    At(LazyStateID),
}

/// A place of the walk: how far each pattern has come, and whether it is the beginning, where not every character may be.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Place {
    progress: Vec<Progress>,
    is_start: bool,
}

impl Language {
    /// `None` for a pattern that is none or too large.
    pub(super) fn of(pattern: &str) -> Option<Self> {
        let config = DFA::config()
            .match_kind(MatchKind::All)
            .cache_capacity(2 * MOST_BYTES)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(Some(0));
        let dfa = DFA::builder()
            .configure(config)
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(MOST_BYTES)))
            .build(pattern)
            .ok()?;
        let cache = dfa.create_cache();
        Some(Self { dfa, cache })
    }

    /// The texts that a pattern matches from end to end.
    pub(super) fn of_whole(pattern: &str) -> Option<Self> {
        Self::of(&format!("^(?:{pattern})$"))
    }

    pub(super) fn has(&mut self, text: &str) -> Result<bool, TooDear> {
        let mut progress = self.start()?;
        for byte in text.bytes() {
            progress = self.step(progress, byte)?;
        }
        self.accepts(progress)
    }

    fn start(&mut self) -> Result<Progress, TooDear> {
        let config = start::Config::new().anchored(Anchored::No);
        let state = self.dfa.start_state(&mut self.cache, &config).map_err(|_| TooDear)?;
        Ok(Progress::At(state))
    }

    /// A lazy automaton tells of a match one step late.
    fn step(&mut self, progress: Progress, byte: u8) -> Result<Progress, TooDear> {
        let Progress::At(state) = progress else { return Ok(progress) };
        let next = self.dfa.next_state(&mut self.cache, state, byte).map_err(|_| TooDear)?;
        Ok(if next.is_match() { Progress::Matched } else { Progress::At(next) })
    }

    fn accepts(&mut self, progress: Progress) -> Result<bool, TooDear> {
        let Progress::At(state) = progress else { return Ok(true) };
        let end = self.dfa.next_eoi_state(&mut self.cache, state).map_err(|_| TooDear)?;
        Ok(end.is_match())
    }
}

/// The shortest text that is in every language, or `None` where there is none.
pub(super) fn shortest(texts: Texts, languages: &mut [&mut Language]) -> Result<Option<String>, TooDear> {
    let progress = languages.iter_mut().map(|language| language.start()).collect::<Result<_, _>>()?;
    let first = Place { progress, is_start: texts == Texts::Tags };
    let mut queue = VecDeque::from([(first.clone(), 0)]);
    // From where a place was reached first, and by which character.
    let mut came_from: HashMap<Place, Option<(Place, u8)>> = HashMap::from([(first, None)]);
    while let Some((place, length)) = queue.pop_front() {
        if length > 0 && all_accept(languages, &place.progress)? {
            return Ok(Some(way_to(&place, &came_from)));
        }
        if length == MAX_TAG_LENGTH {
            continue;
        }
        for byte in CHARACTERS.iter().copied().filter(|byte| !place.is_start || !matches!(byte, b'.' | b'-'))
        {
            let steps = languages.iter_mut().zip(&place.progress);
            let progress = steps.map(|(language, progress)| language.step(*progress, byte));
            let next = Place { progress: progress.collect::<Result<_, _>>()?, is_start: false };
            if is_dead(languages, &next) || came_from.contains_key(&next) {
                continue;
            }
            if came_from.len() == MOST_VISITS {
                return Err(TooDear);
            }
            came_from.insert(next.clone(), Some((place.clone(), byte)));
            queue.push_back((next, length + 1));
        }
    }
    Ok(None)
}

fn all_accept(languages: &mut [&mut Language], progress: &[Progress]) -> Result<bool, TooDear> {
    for (language, progress) in languages.iter_mut().zip(progress) {
        if !language.accepts(*progress)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_dead(languages: &[&mut Language], place: &Place) -> bool {
    let mut progress = languages.iter().zip(&place.progress);
    progress.any(|(_, progress)| matches!(progress, Progress::At(state) if state.is_dead()))
}

fn way_to(place: &Place, came_from: &HashMap<Place, Option<(Place, u8)>>) -> String {
    let (mut text, mut at) = (Vec::new(), place);
    while let Some(Some((before, byte))) = came_from.get(at) {
        text.push(char::from(*byte));
        at = before;
    }
    text.into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(patterns: &[&str]) -> Result<Option<String>, TooDear> {
        let mut languages: Vec<_> = patterns.iter().map(|pattern| Language::of(pattern).unwrap()).collect();
        shortest(Texts::Tags, &mut languages.iter_mut().collect::<Vec<_>>())
    }

    #[test]
    fn the_shortest_tag_of_a_pattern_is_found() {
        for (patterns, wanted) in [
            (&["1.2"][..], Some("1.2")),
            (&[r"^v\d+\.\d+$"], Some("v1.1")),
            (&["-debug$"], Some("1-debug")),
            (&["^-"], None),
            (&["a b"], None),
            (&["^$"], None),
            (&[""], Some("1")),
            (&["é"], None),
            (&["^main-", r"^\d"], None),
            (&["^main-", r"\d$", "x"], Some("main-x1")),
            (&[r"\bfoo\b", "^x"], Some("x.foo")),
            (&["(?m)^a$"], Some("a")),
        ] {
            assert_eq!(tag(patterns), Ok(wanted.map(str::to_owned)), "{patterns:?}");
        }
    }

    #[test]
    fn a_tag_has_at_most_128_characters() {
        assert_eq!(tag(&["^a{128}$"]).unwrap().map(|tag| tag.len()), Some(128));
        assert_eq!(tag(&["^a{129}$"]), Ok(None));
    }

    #[test]
    fn a_part_of_a_tag_may_begin_as_no_tag_does() {
        let mut language = Language::of_whole("-[0-9]").unwrap();
        assert_eq!(shortest(Texts::PartsOfTags, &mut [&mut language]), Ok(Some("-1".to_owned())));
    }

    #[test]
    fn what_takes_too_long_is_given_up() {
        assert_eq!(tag(&["(x|y)*x.{60}$", "^[^.]*$", "z$", "(x|y).{70}z.$"]), Err(TooDear));
    }

    #[test]
    fn a_text_is_in_the_language_of_what_it_matches() {
        let mut some = Language::of("1.2").unwrap();
        let mut whole = Language::of_whole("1.2").unwrap();
        assert_eq!((some.has("21.2"), whole.has("21.2")), (Ok(true), Ok(false)));
        assert_eq!((some.has("1.2"), whole.has("1.2")), (Ok(true), Ok(true)));
        assert_eq!(some.has("12"), Ok(false));
    }
}
