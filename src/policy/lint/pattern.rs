//! What is hardly meant in `tags.include` and `tags.exclude`.

use super::language::{Language, Texts, TooDear, shortest};
use super::written::Written;
use super::{Advice, PolicyRule};
use crate::policy::filter::{Filter, GROUP};
use crate::policy::scale::Scale;
use crate::policy::version::Strictness;

/// Numbers of so many digits are years, dates and builds, of which a beginning is meant as one.
const DIGITS_OF_A_YEAR: usize = 4;

/// What `select.semver` can read, or more.
const VERSION: &str = r"^v?[0-9]+([.][0-9]+){0,2}(-[0-9A-Za-z.-]+)?([_+][0-9A-Za-z.-]+)?$";

/// What has enough dots for `select.semver` without `lenient`, or more.
const TWO_DOTS: &str = r"[.].*[.]";

/// What `select.numerical` can read.
const NUMBER: &str = r"^-?[0-9]+([.][0-9]+)?$";

/// One pattern and where it is written.
struct Pattern<'a> {
    field: String,
    text: &'a str,
    is_include: bool,
}

/// What is hardly meant in the patterns of a filter, given how the tags are ranked that it lets through.
pub(super) fn advice(filter: &Filter, scale: &Scale) -> Vec<Advice> {
    let include = filter.include().into_iter();
    let include =
        include.map(|text| Pattern { field: "spec.tags.include".to_owned(), text, is_include: true });
    let excludes = filter.exclude_patterns().iter().enumerate().map(|(index, text)| Pattern {
        field: format!("spec.tags.exclude[{index}]"),
        text,
        is_include: false,
    });
    include.chain(excludes).flat_map(|pattern| pattern.advice(scale)).collect()
}

/// Whether the tags that a pattern lets through have one major version alone, as with `^v1\.`.
pub(super) fn names_one_major(include: &str) -> bool {
    let has_major = |major: &u8| {
        let of_major = Language::of(&format!("^[^0-9]*{major}[.]"));
        let (Some(mut include), Some(mut of_major)) = (Language::of(include), of_major) else { return false };
        shortest(Texts::Tags, &mut [&mut include, &mut of_major]).is_ok_and(|tag| tag.is_some())
    };
    (0..=9).filter(has_major).nth(1).is_none()
}

impl Pattern<'_> {
    fn advice(&self, scale: &Scale) -> Vec<Advice> {
        // What is not told because it would take too long is no fault.
        match self.shortest_tag() {
            Ok(None) => vec![self.matches_nothing()],
            Ok(Some(_)) | Err(TooDear) => {
                let hidden = self.hides_version(scale).unwrap_or(None);
                let unanchored = self.without_anchor().unwrap_or(None);
                [hidden, unanchored, self.bare_dot()].into_iter().flatten().collect()
            }
        }
    }

    fn language(&self) -> Result<Language, TooDear> {
        Language::of(self.text).ok_or(TooDear)
    }

    fn shortest_tag(&self) -> Result<Option<String>, TooDear> {
        shortest(Texts::Tags, &mut [&mut self.language()?])
    }

    fn told(&self, rule: PolicyRule, message: String, hint: &str) -> Advice {
        let hint = hint.to_owned();
        Advice { rule, is_fatal: false, field: self.field.clone(), part: None, message, hint }
    }

    fn matches_nothing(&self) -> Advice {
        let message = "no tag can match this pattern".to_owned();
        let hint = "a tag has 1 to 128 characters of A-Z a-z 0-9 _ . - and starts with none of . -";
        Advice { is_fatal: self.is_include, ..self.told(PolicyRule::PatternMatchesNothing, message, hint) }
    }

    /// The alternatives of the pattern; what flags before them may mean for each is not told apart.
    fn alternatives(&self) -> Vec<&str> {
        match Written::read(self.text).filter(|written| !written.has_flags()) {
            Some(written) => {
                written.alternatives().into_iter().filter_map(|range| self.text.get(range)).collect()
            }
            None => vec![self.text],
        }
    }

    /// A number at an edge of what it matches may be the beginning or the end of another one: `1.2` matches 21.2.
    fn without_anchor(&self) -> Result<Option<Advice>, TooDear> {
        let mut whole = Language::of_whole(self.text).ok_or(TooDear)?;
        let alternatives = self.alternatives();
        for alternative in &alternatives {
            if let Some((message, hint)) = beyond(alternative, &mut whole)? {
                let part = (alternatives.len() > 1).then(|| (*alternative).to_owned());
                let told = self.told(PolicyRule::PatternWithoutAnchor, message, hint);
                return Ok(Some(Advice { part, ..told }));
            }
        }
        Ok(None)
    }

    fn bare_dot(&self) -> Option<Advice> {
        let part = self.text.get(Written::read(self.text)?.bare_dot()?)?.to_owned();
        let message = "a dot between two numbers stands for any character here".to_owned();
        let told = self.told(PolicyRule::PatternWithBareDot, message, "write \\. where a dot is meant");
        Some(Advice { part: Some(part), ..told })
    }

    /// Whether nothing that `include` lets through can be ranked, so that no tag is ever chosen.
    fn hides_version(&self, scale: &Scale) -> Result<Option<Advice>, TooDear> {
        if !self.is_include {
            return Ok(None);
        }
        let (wanted, readable): (_, &[&str]) = match scale {
            Scale::Semver(semver) => match semver.strictness {
                Strictness::TwoDots => ("a version such as 1.2.3", &[VERSION, TWO_DOTS]),
                Strictness::Lenient => ("a version such as 1.2.3", &[VERSION]),
            },
            Scale::Numerical(_) => ("a number", &[NUMBER]),
            Scale::Calver(_) | Scale::Alphabetical(_) | Scale::NewestBuild | Scale::Follow(_) => {
                return Ok(None);
            }
        };
        let Some(written) = Written::read(self.text) else { return Ok(None) };
        let group = written.group(GROUP).and_then(|range| self.text.get(range));
        let (texts, of_ranked) = match group {
            Some(_) if written.has_flags() => return Ok(None),
            Some(group) => (Texts::PartsOfTags, Language::of_whole(group)),
            None => (Texts::Tags, Language::of(self.text)),
        };
        let readable = readable.iter().map(|pattern| Language::of(pattern));
        let languages = readable.chain([of_ranked]).collect::<Option<Vec<_>>>();
        let mut languages = languages.ok_or(TooDear)?;
        if shortest(texts, &mut languages.iter_mut().collect::<Vec<_>>())?.is_some() {
            return Ok(None);
        }
        let example = self.shortest_tag()?.map(|tag| format!(", such as {tag},")).unwrap_or_default();
        let (message, hint) = match group {
            Some(group) => (
                format!("its group {GROUP}, {group}, never holds {wanted}"),
                "let the group match what is to be ranked, and all of it",
            ),
            None => (
                format!("no tag that it matches{example} is {wanted}"),
                "put what is to be ranked into a group, as in ^v(?<version>.+)$, or choose by another way of select",
            ),
        };
        Ok(Some(Advice { is_fatal: true, ..self.told(PolicyRule::PatternHidesVersion, message, hint) }))
    }
}

/// What is told of an alternative that matches more than it says, unless the whole pattern says just that.
fn beyond(alternative: &str, whole: &mut Language) -> Result<Option<(String, &'static str)>, TooDear> {
    let mut own = Language::of_whole(alternative).ok_or(TooDear)?;
    let Some(meant) = shortest(Texts::Tags, &mut [&mut own])? else { return Ok(None) };
    let is_digit = |c: &char| c.is_ascii_digit();
    let is_short = |digits: usize| (1..DIGITS_OF_A_YEAR).contains(&digits);
    let at_start = is_short(meant.chars().take_while(is_digit).count());
    let at_end = is_short(meant.chars().rev().take_while(is_digit).count());
    let longer = [
        (at_start, format!("2{meant}"), "write ^ before it"),
        (at_end, format!("{meant}0"), "write what follows behind it, such as $ or \\."),
    ];
    let mut anywhere = Language::of(alternative).ok_or(TooDear)?;
    for (_, longer, hint) in longer.into_iter().filter(|(is_number, ..)| *is_number) {
        if anywhere.has(&longer)? && !whole.has(&longer)? {
            let message =
                format!("it matches {longer} as well as {meant}, since it may match anywhere in a tag");
            return Ok(Some((message, hint)));
        }
    }
    Ok(None)
}
