//! One tag, taken apart: what stands before the version, the version, and what stands behind.

use super::Majors;
use super::calendar::{self, Date};
use crate::image::Tag;
use crate::policy::version::{self, Strictness};

/// What in a tag an order can go by.
#[derive(Clone, Debug)]
pub(super) enum Ranked<'t> {
    /// The name of a version that moves, such as `latest`.
    Moving,
    /// Nothing.
    Nothing,
    Version(Version<'t>),
    Date(Date<'t>),
    /// A whole number of three digits or more, or a date with the time and no separator.
    Number,
    /// A date with a time, of which text has the order.
    Moment,
}

/// A version of semver, or what begins as one.
#[derive(Clone, Debug)]
pub(super) struct Version<'t> {
    pub(super) numbers: [u64; 3],
    /// How many numbers are written out, at most 3.
    pub(super) count: usize,
    /// Whether there are more than three.
    pub(super) has_more: bool,
    pub(super) has_v: bool,
    /// The pre-release; empty for a release.
    pub(super) pre: &'t str,
}

/// A tag taken apart. Prefix and suffix are patterns, in which commits and revisions stand for any.
#[derive(Clone, Debug)]
pub(super) struct Reading<'t> {
    pub(super) ranked: Ranked<'t>,
    prefix: String,
    suffix: String,
}

/// What tags share that go together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    kind: u8,
    prefix: String,
    suffix: String,
    /// A version with more than three numbers is written in another way.
    has_more: bool,
    is_pre: bool,
    major: [u64; 2],
    separator: Option<char>,
}

/// The fewest digits of a number that is a count of builds; shorter ones are major versions.
const BUILD_DIGITS: usize = 3;

/// Words of pre-releases, which may have numbers behind them.
const PRE_RELEASES: [&str; 14] = [
    "alpha",
    "beta",
    "rc",
    "pre",
    "preview",
    "prerelease",
    "dev",
    "snapshot",
    "nightly",
    "canary",
    "next",
    "milestone",
    "m",
    "cr",
];

/// Words that move even behind a number: `2022-latest`.
const MOVING: [&str; 5] = ["latest", "stable", "edge", "lts", "current"];

/// Words before the number of a rebuild: Bitnami's `-debian-12-r3`, LinuxServer's `-ls45`.
const REVISIONS: [&str; 5] = ["r", "ls", "build", "b", "rev"];

impl<'t> Reading<'t> {
    pub(super) fn of(tag: &'t str) -> Self {
        let bare = |ranked, prefix| Self { ranked, prefix, suffix: String::new() };
        if !tag.bytes().any(|byte| byte.is_ascii_digit()) {
            return bare(Ranked::Moving, escaped(tag));
        }
        if let Some(pattern) = calendar::moment(tag) {
            return bare(Ranked::Moment, pattern);
        }
        let (before, rest) = lead(tag);
        let prefix = pattern(before);
        let (has_v, numbers) = match rest.strip_prefix('v') {
            Some(numbers) => (true, numbers),
            None => (false, rest),
        };
        if !numbers.starts_with(|c: char| c.is_ascii_digit()) || is_commit(rest) {
            return bare(Ranked::Nothing, pattern(tag));
        }
        if words(numbers).any(|word| MOVING.contains(&word)) {
            return bare(Ranked::Moving, escaped(tag));
        }
        if let Some((date, behind)) = calendar::read(numbers) {
            return Self { ranked: Ranked::Date(date), prefix, suffix: pattern(behind) };
        }
        let Some((mut version, behind)) = version(numbers, has_v) else {
            let digits = numbers.trim_start_matches(|c: char| c.is_ascii_digit());
            if digits.starts_with('.') || has_v {
                return bare(Ranked::Nothing, pattern(tag));
            }
            return Self { ranked: Ranked::Number, prefix, suffix: pattern(digits) };
        };
        if let Some(pre) = pre_release(behind, &version) {
            version.pre = pre;
            return Self { ranked: Ranked::Version(version), prefix, suffix: String::new() };
        }
        let has_build =
            behind.starts_with('_') && version::Version::parse(rest, Strictness::TwoDots).is_some();
        let suffix = if has_build { String::new() } else { pattern(behind) };
        Self { ranked: Ranked::Version(version), prefix, suffix }
    }

    pub(super) fn version(&self) -> Option<&Version<'t>> {
        if let Ranked::Version(version) = &self.ranked { Some(version) } else { None }
    }

    pub(super) fn date(&self) -> Option<&Date<'t>> {
        if let Ranked::Date(date) = &self.ranked { Some(date) } else { None }
    }

    pub(super) fn key(&self, majors: Majors) -> Key {
        let version = self.version();
        let major = match (version.map(|version| version.numbers), majors) {
            (Some([0, minor, _]), Majors::Apart) => [0, minor],
            (Some([major, ..]), Majors::Apart) => [major, 0],
            (Some(_), Majors::Together) | (None, _) => [0, 0],
        };
        Key {
            kind: match self.ranked {
                Ranked::Version(_) => 0,
                Ranked::Date(_) => 1,
                Ranked::Number => 2,
                Ranked::Moment => 3,
                Ranked::Moving => 4,
                Ranked::Nothing => 5,
            },
            prefix: self.prefix.clone(),
            suffix: self.suffix.clone(),
            has_more: version.is_some_and(|version| version.has_more),
            is_pre: version.is_some_and(|version| !version.pre.is_empty()),
            major,
            separator: self.date().and_then(|date| date.separator),
        }
    }

    /// The pattern that tags must match to compete, where it says more than the order does. `ranked` is that of what is
    /// ranked.
    pub(super) fn include(&self, ranked: &str) -> Option<String> {
        let Self { prefix, suffix, .. } = self;
        let has_more = self.version().is_some_and(|version| version.has_more);
        match &self.ranked {
            Ranked::Moving => None,
            Ranked::Nothing | Ranked::Moment => Some(format!("^{prefix}$")),
            Ranked::Version(_) | Ranked::Date(_) | Ranked::Number => {
                let more = if has_more { r"(?:\.\d+)+" } else { "" };
                let is_all = prefix.is_empty() && suffix.is_empty() && !has_more;
                (!is_all).then(|| format!("^{prefix}(?<version>{ranked}){more}{suffix}$"))
            }
        }
    }

    /// What tells the tag's series from others, as a part of a name.
    pub(super) fn variant(&self, tag: &Tag) -> String {
        let pre = self.version().map(|version| version.pre).unwrap_or_default();
        let words = match &self.ranked {
            Ranked::Moving => tag.as_str().to_owned(),
            Ranked::Nothing | Ranked::Moment | Ranked::Version(_) | Ranked::Date(_) | Ranked::Number => {
                let pre = pre.trim_end_matches(|c: char| c.is_ascii_digit());
                format!("{}-{pre}-{}", plain(&self.prefix), plain(&self.suffix))
            }
        };
        let label = words.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let parts: Vec<_> = label.split('-').filter(|part| !part.is_empty()).collect();
        parts.join("-")
    }

    pub(super) fn major(&self) -> String {
        match self.version().map(|version| version.numbers) {
            Some([0, minor, _]) => format!("0-{minor}"),
            Some([major, ..]) => major.to_string(),
            None => String::new(),
        }
    }
}

impl Version<'_> {
    /// Order by precedence.
    pub(super) fn precedence(&self, other: &Self) -> std::cmp::Ordering {
        let by_pre = || version::prerelease_order(self.pre, other.pre);
        self.numbers.cmp(&other.numbers).then_with(by_pre)
    }
}

/// The words and commits before the version, each with the separator behind it, and the rest.
fn lead(tag: &str) -> (&str, &str) {
    let mut length = 0;
    while let Some(rest) = tag.get(length..)
        && let Some(end) = rest.find(['-', '_'])
        && let Some(part) = rest.get(..end)
        && (part.bytes().all(|byte| byte.is_ascii_alphabetic()) || is_commit(part))
    {
        length += end + 1;
    }
    tag.split_at_checked(length).unwrap_or(("", tag))
}

/// The numbers at the beginning, and what follows. `None` where they are no version but a count of builds, or too large.
fn version(text: &str, has_v: bool) -> Option<(Version<'_>, &str)> {
    let (mut numbers, mut count, mut rest) = ([0; 3], 0, text);
    loop {
        let length = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, behind) = rest.split_at_checked(length)?;
        let number = digits.parse().ok()?;
        if let Some(place) = numbers.get_mut(count) {
            *place = number;
        }
        (count, rest) = (count + 1, behind);
        let next = rest.strip_prefix('.').filter(|next| next.starts_with(|c: char| c.is_ascii_digit()));
        match next {
            Some(next) => rest = next,
            None if count == 1 && length >= BUILD_DIGITS && !has_v => return None,
            None => break,
        }
    }
    Some((Version { numbers, count: count.min(3), has_more: count > 3, has_v, pre: "" }, rest))
}

/// The pre-release that stands behind three numbers.
fn pre_release<'t>(behind: &'t str, version: &Version<'_>) -> Option<&'t str> {
    let pre = behind.strip_prefix('-')?;
    let word =
        pre.find(|c: char| !c.is_ascii_alphabetic()).map_or(pre, |end| pre.get(..end).unwrap_or_default());
    let rest = pre.strip_prefix(word)?;
    let is_numbered = rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
    let is_one = PRE_RELEASES.contains(&word.to_ascii_lowercase().as_str()) && is_numbered;
    (is_one && version.count == 3 && !version.has_more && version::is_prerelease(pre)).then_some(pre)
}

/// The beginning of a commit's id: hexadecimal digits with letters and digits among them.
fn is_commit(part: &str) -> bool {
    let is_hex = part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let has = |is: fn(&u8) -> bool| part.bytes().any(|byte| is(&byte));
    (7..=64).contains(&part.len()) && is_hex && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
}

/// The pattern of what stands around a version: commits stand for any commit, and a number at the end, or that of a
/// rebuild, for any number.
fn pattern(text: &str) -> String {
    let mut pattern = String::new();
    let mut parts = text.split_inclusive(['-', '_', '.']).peekable();
    while let Some(part) = parts.next() {
        let word = part.trim_end_matches(['-', '_', '.']);
        let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let is_last = parts.peek().is_none() && letters.len() < word.len();
        if is_commit(word) {
            pattern.push_str("[0-9a-f]+");
        } else if is_last && (letters.is_empty() || REVISIONS.contains(&letters)) {
            pattern.push_str(letters);
            pattern.push_str(r"\d+");
        } else {
            pattern.push_str(word);
        }
        pattern.push_str(&escaped(part.strip_prefix(word).unwrap_or_default()));
    }
    pattern
}

/// A pattern that only the text matches: of the characters of tags, the dot alone means something else.
pub(super) fn escaped(text: &str) -> String {
    text.replace('.', r"\.")
}

/// A pattern as a part of a name: only what stands there literally.
fn plain(pattern: &str) -> String {
    pattern.replace("[0-9a-f]+", "").replace(r"\d+", "").replace(r"\d", "").replace('\\', "")
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(['-', '_', '.'])
}
