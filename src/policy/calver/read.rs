//! Reading a tag by a format.

use std::fmt;

use jiff::civil::Date;

use super::format::{Format, Step};
use super::part::{Digits, Meaning, Part};
use super::{Calver, MOST_NUMBERS};

/// Why a text is no version of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Misfit<'t> {
    /// A part should stand where this text does.
    NoPart(&'static str, &'t str),
    /// A separator should stand where this text does.
    NoSeparator(char, &'t str),
    /// A zero in front that the part does not have; the one that has it.
    Padded(&'static str, &'t str, Option<&'static str>),
    /// Too few digits for a part that is padded; the one that is not.
    NotPadded(&'static str, &'t str, Option<&'static str>),
    /// More digits than the years since 2000 have.
    TooLong(&'static str, &'t str),
    /// More than a version has room for.
    TooLarge(&'static str, &'t str),
    /// No calendar has it.
    NoDate(&'static str, &'t str),
    /// The month has no such day.
    NoDay { year: u64, month: u64, day: u64 },
    /// A day, and its month is missing.
    NoMonth,
    /// What the format has no part for.
    Rest(&'t str),
}

impl fmt::Display for Misfit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |rest: &str| if rest.is_empty() { "the end".to_owned() } else { rest.to_owned() };
        match *self {
            Self::NoPart(part, rest) => write!(f, "{part} should stand at {}", at(rest)),
            Self::NoSeparator(separator, rest) => write!(f, "{separator} should stand at {}", at(rest)),
            Self::Padded(part, digits, Some(other)) => {
                write!(f, "{part} is not padded, so it is not {digits}; {other} is")
            }
            Self::Padded(part, digits, None) => write!(f, "{part} does not begin with 0, as {digits} does"),
            Self::NotPadded(part, digits, Some(other)) => {
                write!(f, "{part} has two digits, and {digits} one; {other} is not padded")
            }
            Self::NotPadded(part, digits, None) => write!(f, "{digits} has too few digits for {part}"),
            Self::TooLong(part, digits) => write!(
                f,
                "{part} counts from the year 2000, so it has three digits at most, unlike {digits}; {} has four",
                Part::FullYear.name()
            ),
            Self::TooLarge(part, digits) => write!(f, "{part} can not be {digits}, which is above 64 bits"),
            Self::NoDate(part, digits) => write!(f, "{part} can not be {digits}"),
            Self::NoDay { year, month, day } => write!(f, "{year}-{month:02} has no day {day}"),
            Self::NoMonth => f.write_str("it has a day and no month"),
            Self::Rest(rest) => write!(f, "nothing is to stand behind its last part, as {rest} does"),
        }
    }
}

/// What was read so far.
#[derive(Clone, Copy, Default)]
struct Reading<'t> {
    numbers: [u64; MOST_NUMBERS],
    modifier: &'t str,
    year: u64,
    month: Option<u64>,
    day: Option<u64>,
}

impl Format {
    /// Reads a version: a lower-case `v` may stand before it, as with semver.
    pub(in crate::policy) fn read<'t>(&self, text: &'t str) -> Result<Calver<'t>, Misfit<'t>> {
        let text = text.strip_prefix('v').unwrap_or(text);
        match self.read_from(0, text, Reading::default()) {
            Ok(Reading { numbers, modifier, .. }) => Ok(Calver { numbers, modifier, text }),
            Err((misfit, _)) => Err(misfit),
        }
    }

    /// An error has with it how much of the text was left, so that of two ways the one that came further tells why.
    ///
    /// At most one way for each set of optional parts, of which there are seven at most.
    fn read_from<'t>(
        &self,
        start: usize,
        mut text: &'t str,
        mut reading: Reading<'t>,
    ) -> Result<Reading<'t>, (Misfit<'t>, usize)> {
        let mut at = start;
        let mut nearest: Option<(Misfit<'t>, usize)> = None;
        let failed = |misfit: Misfit<'t>, left: &str, nearest: Option<(Misfit<'t>, usize)>| {
            nearest.filter(|(_, nearest)| *nearest < left.len()).unwrap_or((misfit, left.len()))
        };
        while let Some(step) = self.steps.get(at) {
            at += 1;
            match step {
                Step::Optional { end } => match self.read_from(at, text, reading) {
                    Ok(reading) => return Ok(reading),
                    Err(error) => {
                        if nearest.is_none_or(|(_, left)| error.1 < left) {
                            nearest = Some(error);
                        }
                        at = *end;
                    }
                },
                Step::Separator(separator) => match text.strip_prefix(*separator) {
                    Some(rest) => text = rest,
                    None => return Err(failed(Misfit::NoSeparator(*separator, text), text, nearest)),
                },
                Step::Modifier => {
                    let is_free = text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
                    if text.is_empty() || !is_free || (self.follows_number(at) && starts_with_digit(text)) {
                        return Err(failed(Misfit::NoPart(Part::Modifier.name(), text), text, nearest));
                    }
                    reading.modifier = text;
                    text = "";
                }
                Step::Number { part, place, is_last_of_run } => {
                    match reading.take(*part, *place, *is_last_of_run, text) {
                        Ok(rest) => text = rest,
                        Err(misfit) => return Err(failed(misfit, text, nearest)),
                    }
                }
            }
        }
        if !text.is_empty() {
            return Err(failed(Misfit::Rest(text), text, nearest));
        }
        reading.check_date().map_err(|misfit| (misfit, 0))?;
        Ok(reading)
    }

    /// Whether the step before the one before `next` reads digits.
    fn follows_number(&self, next: usize) -> bool {
        let before = self.steps.iter().take(next.saturating_sub(1)).rev();
        let mut before = before.filter(|step| !matches!(step, Step::Optional { .. }));
        matches!(before.next(), Some(Step::Number { .. }))
    }
}

impl<'t> Reading<'t> {
    /// Reads a part, and gives what is behind it.
    fn take(
        &mut self,
        part: Part,
        place: usize,
        is_last_of_run: bool,
        text: &'t str,
    ) -> Result<&'t str, Misfit<'t>> {
        let all = text.bytes().take_while(u8::is_ascii_digit).count();
        // A full year is none of these: it would be above every version by the format.
        if matches!(part, Part::ShortYear | Part::PaddedYear) && is_last_of_run && all > 3 {
            let digits = text.split_at_checked(all).map_or(text, |(digits, _)| digits);
            return Err(Misfit::TooLong(part.name(), digits));
        }
        let (least, most) = match part.digits() {
            Digits::Fixed(count) => (count, count),
            Digits::TwoOrMore => (2, if is_last_of_run { 3 } else { 2 }),
            Digits::Plain | Digits::Any => (1, all),
        };
        let (digits, rest) = text.split_at_checked(all.min(most)).unwrap_or((text, ""));
        if digits.is_empty() {
            return Err(Misfit::NoPart(part.name(), text));
        }
        let otherwise = part.padded_otherwise().map(Part::name);
        if digits.len() < least {
            return Err(Misfit::NotPadded(part.name(), digits, otherwise));
        }
        let has_zero = digits.len() > 1 && digits.starts_with('0');
        let is_padded = match part.digits() {
            Digits::Plain => has_zero,
            // A third digit is there from the year 2100 on only, and no full year is below 1000.
            Digits::TwoOrMore => has_zero && digits.len() > 2,
            Digits::Fixed(4) => has_zero,
            Digits::Fixed(_) | Digits::Any => false,
        };
        if is_padded {
            return Err(Misfit::Padded(part.name(), digits, otherwise.filter(|_| digits.len() == 2)));
        }
        let too_large = Misfit::TooLarge(part.name(), digits);
        let number: u64 = digits.parse().map_err(|_| too_large)?;
        let kept = number.checked_add(1).ok_or(too_large)?;
        let is_possible = match part.meaning() {
            Meaning::Year => {
                self.year = if part == Part::FullYear { number } else { number.saturating_add(2000) };
                true
            }
            Meaning::Month => {
                self.month = Some(number);
                (1..=12).contains(&number)
            }
            Meaning::Week => (1..=53).contains(&number),
            Meaning::Day => {
                self.day = Some(number);
                (1..=31).contains(&number)
            }
            Meaning::Major | Meaning::Minor | Meaning::Micro | Meaning::Modifier => true,
        };
        if !is_possible {
            return Err(Misfit::NoDate(part.name(), digits));
        }
        if let Some(slot) = self.numbers.get_mut(place) {
            *slot = kept;
        }
        Ok(rest)
    }

    fn check_date(&self) -> Result<(), Misfit<'t>> {
        let Some(day) = self.day else { return Ok(()) };
        let month = self.month.ok_or(Misfit::NoMonth)?;
        let misfit = Misfit::NoDay { year: self.year, month, day };
        let (Ok(y), Ok(m), Ok(d)) = (i16::try_from(self.year), i8::try_from(month), i8::try_from(day)) else {
            return Err(misfit);
        };
        Date::new(y, m, d).map(|_| ()).map_err(|_| misfit)
    }
}

fn starts_with_digit(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_digit())
}
